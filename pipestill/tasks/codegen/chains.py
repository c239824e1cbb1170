"""Programs that are steps one after the other."""

from collections.abc import Callable, Sequence
from random import Random

from pipestill.tasks.codegen.drafts import Arguments, Draft
from pipestill.tasks.codegen.steps import Step

VARIABLES = {"numbers": "result", "words": "parts", "text": "result", "table": "counts"}  # of values of another kind


def chain(*pools: Sequence[Step]) -> Callable[[Random], Draft]:
    """A function that drafts a step of each pool, which fit behind each other, none of them twice."""

    def draw(rng: Random) -> Draft:
        steps: list[Step] = []
        while len(steps) < len(pools):
            fits = [
                step for step in pools[len(steps)] if step not in steps and (not steps or _follows(step, steps[-1]))
            ]
            steps = [*steps, rng.choice(fits)] if fits else []
        return _draft(rng, steps)

    return draw


def _follows(step: Step, before: Step) -> bool:
    return step.takes == before.gives


def _draft(rng: Random, steps: Sequence[Step]) -> Draft:
    arguments = Arguments(rng)
    value = arguments.add(steps[0].takes)
    asked, lines = [], []
    for step in steps:
        parameter = arguments.parameter(step.gap)
        asked.append(rng.choice(step.asked).format(k=parameter))
        code = step.code.format(x=value, k=parameter)
        if step is not steps[-1]:
            value = value if _follows(step, step) else VARIABLES[step.gives]
        lines.append(f"{'return' if step is steps[-1] else f'{value} ='} {code}".replace("{", "{{").replace("}", "}}"))
    return Draft(tuple(step.name for step in steps), arguments.kinds, _requests(asked), tuple(lines))


def _requests(asked: Sequence[str]) -> tuple[str, ...]:
    """Requests for steps."""
    *before, last = asked
    return (
        f"Write a function {{signature}} to {', '.join(before)} and {last}.",
        f"Write {{signature}}: {', then '.join(asked)}.",
        f"{{signature}} {', then '.join(map(_third_person, asked))}. Write it.",
        f"Function {{signature}}. First {'. After that '.join(asked)}. Return the result.",
    )


def _third_person(asked: str) -> str:
    """``keep the even numbers`` as ``keeps the even numbers``."""
    verb, _, rest = asked.partition(" ")
    return f"{verb[:-1]}ies {rest}" if verb.endswith("y") else f"{verb}s {rest}"

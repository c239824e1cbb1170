"""Code: generated right away, or behind a plan that the model writes first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipestill.answers.base import Said
from pipestill.answers.code import CodeOptions
from pipestill.answers.code.extraction import code_of
from pipestill.answers.code.problem import Problem
from pipestill.answers.generated.predict import Asked, ask, drawn, predict_records, replies_to, said_of
from pipestill.inference.generation import GREEDY
from pipestill.inference.loaded import Loaded
from pipestill.inference.question import Listen, Question
from pipestill.inference.work import Work
from pipestill.io.records import Json, Record, by_split, write_jsonl
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task


def predict(task: Task, loaded: Loaded, asking: Asking, records: Sequence[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl`` and ``queries.json`` of one run to ``directory``, and ``tests.jsonl``: the tests of
    each problem, once for all its answers.

    A plan stands in the ``rationale`` of its answers.
    """
    tested = by_split(records)["test"]

    def answer(part: Sequence[Record], own: Work) -> Asked:
        return _answer(task, loaded, asking, {each.id: asking.prompt.fill(each.inputs) for each in part}, own)

    predict_records(loaded, answer, tested, work, directory)
    write_jsonl(directory / "tests.jsonl", map(Problem.of_record, tested))


def say(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Said]:
    """Answer ``prompts`` by key: an output per sampling seed, or the greedy one."""
    return said_of(_answer(task, loaded, asking, prompts, work))


def draw(
    task: Task, loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work
) -> dict[str, list[str]]:
    """Draw code, without plans, to ``prompts`` by key, one a seed of ``decoding``."""
    return drawn(loaded, asking, decoding, prompts, work)


def replies(
    task: Task,
    loaded: Loaded,
    asking: Asking,
    questions: Sequence[Question],
    run: Path | None,
    listen: Listen | None = None,
) -> Iterator[tuple[int, Json]]:
    """Answer ``questions`` with code; nothing is run. See :func:`~pipestill.answers.generated.predict.replies_to`.

    If plans are asked for, they are written first and are the ``rationale``. Pieces are of the text that the code is
    taken from.
    """
    options = task.answers.options(asking.answers)
    if not options.plan_then_code:
        for place, reply in replies_to(loaded, asking, options, questions, listen):
            yield place, _with_code(reply)
        return
    dropped: set[int] = set()

    def silent(place: int, piece: Callable[[], str]) -> bool:
        if not listen(place, str):
            dropped.add(place)
        return place not in dropped

    planning = [replace(each, prompt=task.answers.planning(each.prompt)) for each in questions]
    plans = dict(replies_to(loaded, asking, GREEDY, planning, listen and silent))
    for place in dropped:
        yield place, plans[place] | {"prediction": "", "rationale": plans[place]["prediction"]}
    going = [place for place in range(len(questions)) if place not in dropped]
    shown = [
        replace(questions[place], prompt=task.answers.planned(questions[place].prompt, plans[place]["prediction"]))
        for place in going
    ]
    heard = listen and (lambda number, piece: listen(going[number], piece))
    for number, reply in replies_to(loaded, asking, options, shown, heard):
        plan = plans[going[number]]
        tokens = {name: plan[name] + reply[name] for name in ("prompt_tokens", "written_tokens")}
        cropped = plan["cropped"] or reply["cropped"]
        yield going[number], _with_code(reply) | tokens | {"rationale": plan["prediction"], "cropped": cropped}


def lines(reply: Json) -> list[str]:
    """A reply for people."""
    return [reply["prediction"]]


def _answer(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> Asked:
    """Answers to ``prompts``; with plans, one for all answers to a prompt, the likeliest, is written first."""
    options: CodeOptions = task.answers.options(asking.answers)
    if not options.plan_then_code:
        return ask(loaded, asking, options, prompts, work)
    keys = {key: f"plan {key}" for key in prompts}
    asked = {keys[key]: task.answers.planning(prompt) for key, prompt in prompts.items()}
    plans = ask(loaded, asking, GREEDY, asked, work)
    shown = {key: task.answers.planned(prompt, plans[keys[key], None]["text"]) for key, prompt in prompts.items()}
    answers = ask(loaded, asking, options, shown, work)
    share = 1 / len(options.seeds())
    return {key: _behind(plans[keys[key[0]], None], answer, share) for key, answer in answers.items()}


def _behind(plan: Json, answer: Json, share: float) -> Json:
    """An answer with its plan, and what it took with its ``share`` of the plan; its own prompt shows the plan."""
    query = {name: answer["query"][name] + share * plan["query"][name] for name in ("read", "written", "ms")}
    return answer | {"rationale": plan["text"], "query": answer["query"] | query}


def _with_code(reply: Json) -> Json:
    return reply | {"prediction": code_of(reply["prediction"])}

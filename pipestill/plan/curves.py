"""Studies with other contexts, which the curve of in-context learning is drawn through.

They are what ``<study>@<prompt>-<demonstrations>`` names, and always derived: names in a configuration hold no ``@``.
"""

from typing import NamedTuple

from pipestill.methods import BASE, METHODS
from pipestill.plan.config import Config
from pipestill.plan.resolve import prompt_name


class Point(NamedTuple):
    """One point of a curve: the experiment with a prompt and a number of demonstrations."""

    prompt: str
    shots: int
    study: str
    method: str


def points(config: Config, name: str) -> list[Point]:
    """Points of the curve of a study, prompt by prompt; none where it has no curve, or no method that reads
    demonstrations."""
    study, found = config.studies[name], []
    own = prompt_name(config, study)
    reader = next((method for method in study.methods if METHODS[method].in_context), None)
    if reader is None:
        return []
    for prompt in study.icl.prompts or [own]:
        for shots in study.icl.curve:
            is_own = prompt == own and shots in (0, study.icl.shots)
            where = name if is_own else f"{name}@{prompt}-{shots}"
            found.append(Point(prompt, shots, where, reader if shots else BASE))
    return found


def with_curves(config: Config) -> Config:
    """A configuration with a study for each point of a curve as well; ``run`` is as it was."""
    studies = dict(config.studies)
    for name in config.studies:
        for point in points(config, name):
            icl = config.studies[name].icl.model_copy(update={"shots": point.shots, "curve": [], "prompts": []})
            update = {"prompt": point.prompt, "icl": icl}
            studies.setdefault(point.study, config.studies[name].model_copy(update=update))
    return config.model_copy(update={"studies": studies})

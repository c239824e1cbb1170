"""Content-free prompts, on which a model's prior for each label is measured."""

from collections.abc import Sequence
from random import Random

from pipestill.io.records import Record, of_split
from pipestill.settings.prompts import Prompt

BAGS = 20  # of domain-conditional calibration (Fei et al. 2023)


def null_prompts(
    prompt: Prompt,
    unconditioned: Prompt | None,
    texts: Sequence[str],
    records: Sequence[Record] = (),
) -> dict[str, list[str]]:
    """The prompts of each calibration: ``multi_null``, ``domain_conditional`` and ``pmi``.

    Args:
        prompt: of the task; every input is the same content-free text.
        unconditioned: the domain without inputs; none: there is no ``pmi``.
        texts: for ``multi_null``.
        records: bags of words are drawn from the inputs of the training split; none: no ``domain_conditional``.
    """
    found = {"multi_null": _prompts(prompt, texts)}
    if inputs := [" ".join(record.inputs.values()) for record in of_split(records, "train")]:
        words = [word for text in inputs for word in text.split()]
        length = round(len(words) / len(inputs))
        rng = Random("bags of words 0")
        bags = [" ".join(rng.choices(words, k=length)) for _ in range(BAGS)]
        found["domain_conditional"] = _prompts(prompt, bags)
    if unconditioned:
        found["pmi"] = [unconditioned.fill({})]
    return found


def _prompts(prompt: Prompt, texts: Sequence[str]) -> list[str]:
    return [prompt.fill(dict.fromkeys(prompt.template.gaps, text)) for text in texts]

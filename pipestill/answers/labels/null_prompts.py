"""Content-free prompts, on which a model's prior for each label is measured."""

from collections.abc import Iterator, Sequence
from random import Random

from pipestill.io.records import Record
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
    inputs = total = 0
    for words in _words(records):
        inputs, total = inputs + 1, total + len(words)
    if inputs:
        rng = Random("bags of words 0")
        drawn = [rng.choices(range(total), k=round(total / inputs)) for _ in range(BAGS)]  # places of words
        wanted, start, said = {place for bag in drawn for place in bag}, 0, {}
        for words in _words(records):
            said |= {place: words[place - start] for place in wanted.intersection(range(start, start + len(words)))}
            start += len(words)
        bags = [" ".join(said[place] for place in bag) for bag in drawn]
        found["domain_conditional"] = _prompts(prompt, bags)
    if unconditioned:
        found["pmi"] = [unconditioned.fill({})]
    return found


def _words(records: Sequence[Record]) -> Iterator[list[str]]:
    """The words of each record of the training split."""
    return (" ".join(each.inputs.values()).split() for each in records if each.split == "train")


def _prompts(prompt: Prompt, texts: Sequence[str]) -> list[str]:
    return [prompt.fill(dict.fromkeys(prompt.template.gaps, text)) for text in texts]

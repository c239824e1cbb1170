"""Content-free prompts, on which a model's prior for each label is measured."""

from random import Random

from pipestill.io.records import Record, of_split
from pipestill.tasks import Task

BAGS = 20  # of domain-conditional calibration (Fei et al. 2023)


def null_prompts(
    task: Task, records: list[Record], null_inputs: list[str] | None, seed: int = 0
) -> dict[str, list[str]]:
    """The prompts of each calibration: ``multi_null``, ``domain_conditional`` and ``pmi``.

    Args:
        records: records of the task; bags of words are drawn from the inputs of the training split.
        null_inputs: inputs for ``multi_null``; the task's own when absent.
        seed: seed of the bags.
    """
    inputs = [record["text"] for record in of_split(records, "train")]
    words = [word for text in inputs for word in text.split()]
    length = round(len(words) / len(inputs))
    rng = Random(f"bags of words {seed}")
    bags = [" ".join(rng.choices(words, k=length)) for _ in range(BAGS)]
    return {
        "multi_null": [task.prompt(text) for text in (null_inputs or task.null_inputs)],
        "domain_conditional": [task.prompt(bag) for bag in bags],
        "pmi": [task.premise],
    }

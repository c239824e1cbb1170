"""Test examples of an experiment, to be asked by hand."""

from dataclasses import dataclass

from pipestill.errors import UserError
from pipestill.inference.target import Target
from pipestill.io.records import Json, Record, iterate_records
from pipestill.io.seals import verify


@dataclass(frozen=True)
class Example:
    """A test example.

    Attributes:
        number: its place among all of its task, from 1.
        record: it, with inputs as models read them.
        of: how many there are.
    """

    number: int
    record: Record
    of: int

    def row(self) -> Json:
        """It as JSON."""
        record = self.record
        own = {"number": self.number, "id": record.id, "test_set": record.test_set}
        return {**own, "inputs": record.inputs, "references": record.references}

    def lines(self) -> list[str]:
        """It for people: its inputs, and what answers are compared with."""
        record = self.record
        where = f", test set {record.test_set}" if record.test_set else ""
        references = record.references or ["none"]
        return [
            f"test example {self.number} of {self.of} ({record.id}{where})",
            *(f"{name}: {text}" for name, text in record.inputs.items() if text),
            *(f"reference: {each}" for each in references),
        ]


def find_example(target: Target, number: int) -> Example:
    """The ``number``-th test example of the task of ``target``.

    Raises:
        UserError: it is no run of an experiment, or there are fewer examples.
    """
    if target.run is None:
        raise UserError(f"`{target.name}` is no experiment, whose task has test examples: leave `--example` out")
    path = target.run.parents[2] / "data" / target.task.name / "cropped.jsonl"
    verify(path)
    found = [record for record in iterate_records(path) if record.split == "test"]
    if not 1 <= number <= len(found):
        raise UserError(f"there is no test example {number}: task `{target.task.name}` has {len(found)}, from 1")
    return Example(number, found[number - 1], len(found))

"""Test examples of tasks, one by one: where each lies in its file is kept, and the file is not."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.records import Json, Record
from pipestill.io.seals import verify
from pipestill.serving.problems import Problem, busy
from pipestill.serving.shelf import Exhibit, Stamp, stamp_of


@dataclass(frozen=True)
class Places:
    """Places of the test examples in a file, in bytes, and what they have for fields of requests.

    A file that is damaged has none, and ``fault`` says so.
    """

    path: Path
    stamp: Stamp
    starts: list[int]
    fields: dict[str, list[str]]
    fault: str | None = None


@dataclass
class Examples:
    """Test examples of the tasks of a tree."""

    _known: dict[Path, Places] = field(default_factory=dict)

    def places(self, exhibit: Exhibit) -> Places:
        """Those of the task of an experiment."""
        path = exhibit.first.run.parents[2] / "data" / exhibit.task.name / "cropped.jsonl"
        stamp, known = stamp_of(path), self._known.get(path)
        if known is not None and known.stamp == stamp:
            return known
        starts: list[int] = []
        fields: dict[str, dict[str, None]] = {name: {} for name in exhibit.task.layout.fields}
        fault = _fault(path) if stamp[0] is not None else None
        if stamp[0] is not None and fault is None:
            with open(path, "rb") as file:
                place = 0
                for line in file:
                    row = json.loads(line)
                    if row["split"] == "test":
                        starts.append(place)
                        for name, value in exhibit.task.layout.fields_of(Record(**row)).items():
                            fields[name][value] = None
                    place += len(line)
        values = {name: list(found) for name, found in fields.items()}
        made = self._known[path] = Places(path, stamp, starts, values, fault)
        return made

    def count(self, exhibit: Exhibit) -> int:
        """How many there are."""
        return len(self.places(exhibit).starts)

    def record(self, exhibit: Exhibit, number: int) -> Record:
        """The ``number``-th, from 1.

        Raises:
            Problem: there are fewer, or their file is damaged.
        """
        places = self.places(exhibit)
        if places.fault is not None:
            raise busy(places.fault)
        if not 1 <= number <= len(places.starts):
            many = len(places.starts)
            raise Problem(404, f"there is no such test example: task `{exhibit.task.name}` has {many}, from 1")
        with open(places.path, "rb") as file:
            file.seek(places.starts[number - 1])
            return Record(**json.loads(file.readline()))

    def values(self, exhibit: Exhibit, field: str) -> list[str]:
        """What test examples have for a field of requests."""
        return self.places(exhibit).fields[field]

    def drawn(self, exhibit: Exhibit, seed: str) -> int:
        """The number of one that ``seed`` draws."""
        return random.Random(seed).randint(1, max(1, self.count(exhibit)))

    def row(self, exhibit: Exhibit, number: int) -> Json:
        """The ``number``-th as JSON."""
        record = self.record(exhibit, number)
        fields = exhibit.task.layout.fields_of(record)
        own = {"number": number, "of": self.count(exhibit), "id": record.id, "test_set": record.test_set}
        return {**own, "inputs": record.inputs, "fields": fields, "references": record.references}


def _fault(path: Path) -> str | None:
    try:
        verify(path)
    except UserError as error:
        return str(error)
    return None

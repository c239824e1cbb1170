"""What training rows learn of JSON: of several outputs, those that the schema and the document speak for."""

from functools import cached_property

from pipestill.answers.base import Lessons
from pipestill.answers.json.document import says
from pipestill.answers.json.writing import Said
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.records import Record
from pipestill.metrics.json_fields import compare


class JsonLessons(Lessons):
    """Lessons that read outputs beside their documents."""

    @cached_property
    def _said(self) -> Said:
        return Said.by(self.answers.schema.content)

    def check(self, record: Record, output: str, gold: str | None) -> bool | None:
        """Whether it is valid by the schema of the task, in itself consistent, and said by the inputs."""
        if not self.answers.schema.accepts(output):
            return False
        value = parse_json(output)
        return self.answers.consistent(value) and says("\n".join(record.inputs.values()), value, self._said)

    def alike(self, one: str, other: str) -> float:
        """F1 of their fields."""
        try:
            return compare(one, [other]).f1
        except BadJson:
            return 0.0

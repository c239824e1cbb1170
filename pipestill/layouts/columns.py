"""Columns of raw rows: what a task reads of them, under its own names, and what nobody reads."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipestill.errors import UserError
from pipestill.io.normal import cleaned, normalise
from pipestill.io.records import Json

# Names under which formats of data keep what a model is to read or to say: left out, another task would be learnt.
CONTENT = frozenset(
    (
        *("instruction", "input", "inputs", "context", "question", "query", "prompt", "system", "system_prompt"),
        *("history", "messages", "conversation", "conversations", "dialog", "dialogue", "text", "document", "article"),
        *("passage", "content", "premise", "hypothesis", "sentence", "sentence1", "sentence2", "choices", "options"),
        *("output", "outputs", "response", "responses", "answer", "answers", "completion", "label", "labels", "target"),
        *("targets", "summary", "highlights", "reference", "references", "chosen", "rejected", "rationale"),
    )
)


class Row(Mapping[str, Any]):
    """A raw row as a task reads it: every text in its normal form, columns by the task's names.

    A column is found by its name, by the one that ``columns`` gives it, or else by its name in other capitals.

    Args:
        content: the row.
        columns: names of columns by the task's names for them.

    Attributes:
        asked: names that the task asked for.
        seen: columns that it read.

    Raises:
        ValueError: two columns have the same name.
    """

    def __init__(self, content: Json, columns: Mapping[str, str]):
        self.content: Json = cleaned(content)
        self.asked: dict[str, None] = {}
        self.seen: set[str] = set()
        self._columns = columns
        self._alike = {normalise(name): name for name in self.content}

    def _column(self, name: str) -> str | None:
        own = self._columns.get(name, name)
        if own in self.content:
            return own
        return None if name in self._columns else self._alike.get(normalise(name))

    def called(self, name: str) -> str:
        """The column that the task calls ``name``, as the file calls it."""
        return self._column(name) or self._columns.get(name, name)

    def __getitem__(self, name: str) -> Any:
        """The value of a column, which counts as read."""
        self.asked[name] = None
        column = self._column(name)
        if column is None:
            raise KeyError(name)
        self.seen.add(column)
        return self.content[column]

    def __contains__(self, name: object) -> bool:
        """True if there is such a column."""
        return isinstance(name, str) and self._column(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Over the names of its own columns."""
        return iter(self.content)

    def __len__(self) -> int:
        """How many columns it has."""
        return len(self.content)


@dataclass
class Columns:
    """The columns of a file.

    Attributes:
        asked: names that the task asks for, in order.
        found: rows by column.
        seen: columns that were read of any row.
        unread: rows in which a column says something that was not read, by column.
        texts: those of them in which it is text, or a list or an object.
    """

    asked: dict[str, None] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    unread: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)

    def count(self, row: Row, usable: bool) -> None:
        """Count a row that was read; what a task left of one that it could not use says nothing."""
        self.asked |= row.asked
        self.found.update(list(row.content))
        self.seen |= row.seen
        for name, value in row.content.items():
            if name not in row.seen and usable and _says_something(value):
                self.unread[name] += 1
                self.texts[name] += isinstance(value, str | list | dict)

    def check(self, columns: Mapping[str, str], ignored: Collection[str], where: str) -> None:
        """Refuse columns that are missing, or that are of another format; say in the log which others nobody reads.

        Raises:
            UserError: names file, columns and keys of the configuration.
        """
        if not self.found:
            return
        for name, column in columns.items():
            if column not in self.found:
                raise UserError(
                    f"{where}: no row has the column `{column}` that `columns` names for `{name}`; there are "
                    f"{_listed(self.found)}"
                )
        unread = [name for name in self.unread if name not in ignored]
        if others := [name for name in unread if normalise(name) in CONTENT and self.texts[name]]:
            raise self._refusal(others, where)
        if unread:
            rows = ", ".join(f"`{name}` ({self.unread[name]} rows)" for name in unread)
            print(f"{where}: nobody reads {rows}")

    def hint(self) -> str:
        """What a file without any usable row has, beside what the task reads."""
        if not self.found:
            return "; a JSON list, JSON Lines of objects or a table with a header are expected"
        return f"; its columns are {_listed(self.found)}, and the task reads {_listed(self.asked)}: set `columns`"

    def _refusal(self, names: Sequence[str], where: str) -> UserError:
        rows = " and ".join(f"`{name}` (in {self.texts[name]} rows)" for name in names)
        return UserError(
            f"{where}: the task does not read {rows}: set `columns: {{<name>: {names[0]}}}` with one of the names that "
            f"it reads ({_listed(self.asked)}), or list what is to be left out under `ignored_columns`"
        )


def _says_something(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value not in (None, [], {})


def _listed(names: Collection[str]) -> str:
    shown = [f"`{name[:40]}`" for name in list(names)[:20]]
    return ", ".join([*shown, *(["..."] if len(names) > 20 else [])])

"""Answers that are too long to be learnt beside a prompt: found in training files, before any training."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipestill.errors import UserError
from pipestill.io.records import Json, Record
from pipestill.io.sequences import Chosen
from pipestill.settings.jobs import OnLongAnswer
from pipestill.settings.section import Section
from pipestill.text.crop import Ends, character_ends, crop_text, token_ends

Measure = Callable[[Json], Mapping[str, str]]  # a training row to what is learnt of it, by the key that can be cropped

END = 1  # token behind each answer
PROMPT = 48  # tokens of the least prompt beside its wording, with what a chat template puts around it
LISTED = 5  # answers that a message names one by one


class LongAnswers(Section):
    """Answers to learn from that were too long."""

    treatment: OnLongAnswer
    """Their treatment: `on_long_answer` of the study."""
    train: int
    """Training rows that were dropped, or whose answers were cropped."""
    validation: int
    """The same of validation rows."""

    def notes(self) -> list[str]:
        """A sentence for tables, if there are any."""
        if not self.train and not self.validation:
            return []
        done = {"stop": "too long", "drop": "dropped", "crop": "cropped"}[self.treatment]
        return [
            f"Answers that left no room for a prompt in `max_length` were {done}: {self.train} of training, "
            f"{self.validation} of validation rows."
        ]


@dataclass
class Room:
    """Room for answers in the rows of a training file.

    Attributes:
        tokens: that an answer may have, its end left out; none: any number.
        ends: of the tokens of a text, as the learner has them.
        policy: treatment of longer ones.
        long: tokens of the longer ones by id, of those that were met so far.
    """

    tokens: int | None = None
    ends: Ends = character_ends
    policy: OnLongAnswer = "stop"
    long: dict[str, int] = field(default_factory=dict)

    def records(self, records: Sequence[Record]) -> Sequence[Record]:
        """``records`` without those whose target is too long, or with targets that are cropped.

        All training files of a study are made of the same ones so. Where long answers stop the run, they are looked for
        in rows instead, since not every row has the gold answer.
        """
        if self.tokens is None or self.policy == "stop":
            return records
        fits = np.fromiter((self._excess(each.id, each.target) == 0 for each in records), bool, len(records))
        if self.policy == "crop":
            return Chosen(records, np.arange(len(records)), self._cropped)
        return Chosen(records, np.flatnonzero(fits))

    def rows(self, rows: Iterable[Json], measure: Measure) -> Iterator[Json]:
        """``rows`` without those in which an answer is too long, or with answers that are cropped."""
        for row in rows:
            learnt = {} if self.tokens is None else measure(row)
            keys = [key for key, text in learnt.items() if self._excess(row["id"], text)]
            if not keys or self.policy != "drop":
                yield self._fit(row, keys, measure) if self.policy == "crop" else row

    def check(self) -> None:
        """Refuse long answers where they are neither dropped nor cropped.

        Raises:
            UserError: says how many there are, and names some.
        """
        if self.long and self.policy == "stop":
            named = ", ".join(f"{name} ({tokens} tokens)" for name, tokens in list(self.long.items())[:LISTED])
            raise UserError(
                f"{len(self.long)} answers to learn from have more than {self.tokens} tokens, which is all that "
                f"`training.max_length` leaves beside a prompt: {named}{', ...' if len(self.long) > LISTED else ''}; "
                "raise it, or set `on_long_answer` of the study to `drop` or `crop`"
            )

    def counted(self, train: Iterable[Json], held_out: Collection[str]) -> LongAnswers:
        """How many there were.

        Args:
            train: training rows as they were written; a cropped answer counts if it is in one of them.
            held_out: ids of the validation records.
        """
        written = {row["id"] for row in train if row["id"] in self.long}
        counting = [name for name in self.long if name not in held_out and (self.policy == "drop" or name in written)]
        validation = sum(name in held_out for name in self.long)
        return LongAnswers(treatment=self.policy, train=len(counting), validation=validation)

    def _excess(self, name: str, text: str) -> int:
        """Tokens of ``text`` that are too many."""
        tokens = len(self.ends(text))
        if tokens > self.tokens:
            self.long[name] = max(tokens, self.long.get(name, 0))
        return max(0, tokens - self.tokens)

    def _cropped(self, record: Record) -> Record:
        if len(self.ends(record.target)) <= self.tokens:
            return record
        return replace(record, target=self._crop(record.target, self.tokens))

    def _fit(self, row: Json, keys: Iterable[str], measure: Measure) -> Json:
        for key in keys:
            while row[key] and (excess := len(self.ends(measure(row)[key])) - self.tokens) > 0:
                row = {**row, key: self._crop(row[key], max(0, len(self.ends(row[key])) - excess))}
        return row

    def _crop(self, text: str, tokens: int) -> str:
        """At most ``tokens`` of ``text``, to the end of a word; cut off, the last ones may be others than they were."""
        ends = self.ends(text)
        while tokens and len(self.ends(cropped := crop_text(text, ends[tokens - 1]))) > tokens:
            tokens -= 1
        return cropped if tokens else ""


def room_for(max_length: int | None, policy: OnLongAnswer, learner: Path | None, wording: str) -> Room:
    """Room for the answers of a training file.

    Args:
        max_length: tokens of prompt and answer together; none where nothing is trained on the file.
        policy: treatment of longer answers. Those that leave no room at all stop the run; where they are dropped or
            cropped instead, some prompt has to fit beside the others.
        learner: directory of the model that learns; one without a ``tokenizer.json`` finds them in its training.
        wording: of a prompt without inputs.

    Raises:
        UserError: nothing is left beside the wording.
    """
    tokenizer = learner / "tokenizer.json" if learner else None
    if max_length is None or tokenizer is None or not tokenizer.is_file():
        return Room()
    ends = token_ends(tokenizer)
    beside = 1 if policy == "stop" else len(ends(wording)) + PROMPT
    if max_length <= beside + END:
        raise UserError(
            f"`training.max_length` {max_length} leaves no room for an answer beside a prompt of {beside} tokens: "
            "raise it"
        )
    return Room(max_length - END - beside, ends, policy)

"""Answers that a student draws to the prompts of its own training rows."""

from collections.abc import Sequence
from typing import Any

from pipestill.inference.generation import write
from pipestill.models.rows import PLACE, Row, prompt_of, supervised
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.on_policy import OwnSampling


class Drawing:
    """How answers are drawn.

    Args:
        sampling: as configured.
        rows: of the whole training file.
        max_length: tokens of a prompt and its answer at most.
        seed: of the run.
        vocabulary: ids of the student's tokenizer; others are never drawn.

    Attributes:
        limit: tokens of an answer at most.
    """

    def __init__(self, sampling: OwnSampling, rows: Sequence[Row], max_length: int, seed: int, vocabulary: int):
        self.decoding = GenerationConfig(sampling=True, **sampling.model_dump(exclude={"max_new_tokens"}))
        self.limit = sampling.max_new_tokens or max(len(supervised(row["labels"])) for row in rows)
        self.max_length, self.seed, self.vocabulary = max_length, seed, vocabulary

    def room(self, row: Row) -> int:
        """Tokens at which the answer to a row's prompt is cut."""
        return min(self.limit, self.max_length - len(prompt_of(row)))

    def answers(self, model: Any, rows: Sequence[Row], step: int) -> list[tuple[int, list[int]]]:
        """Place and tokens of a new answer to each of ``rows``, the end included where one was written.

        What is drawn for a row depends on seed, step and row.

        Args:
            model: the student, in eval mode.
            rows: with their places.
            step: of the training, from 0, before which they are drawn.
        """
        keys = [f"{self.seed} {step} {row[PLACE]}" for row in rows]
        prompts, rooms = [prompt_of(row) for row in rows], list(map(self.room, rows))
        found = write(model, prompts, rooms, self.decoding, keys, self.vocabulary)
        return [(row[PLACE], found[index].tokens) for index, row in enumerate(rows)]

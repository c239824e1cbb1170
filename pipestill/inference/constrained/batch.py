"""Answers to one batch of prompts by a schema."""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from pipestill.inference.constrained.engine import Engine
from pipestill.inference.constrained.writing import Writing
from pipestill.inference.decoding import Choose
from pipestill.inference.rows import Hear, Written, read_prompts

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix


@torch.inference_mode()
def write_batch(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Choose,
    draws: Sequence[random.Random],
    engine: Engine,
    prefix: "SharedPrefix | None" = None,
    jump: bool = True,
    hear: Hear | None = None,
) -> Iterator[tuple[int, Written]]:
    """Answers to one batch; see :func:`~pipestill.inference.generation.answer_batch`.

    Args:
        jump: read the tokens that are forced together with the one before them, not one by one; nothing else changes.
    """
    rows, logits = read_prompts(model, prompts, max_new_tokens, prefix)
    writings = [Writing(engine, max_new_tokens) for _ in prompts]
    waiting = [writing.begin() for writing in writings]  # tokens that each row has not read yet
    going = list(range(len(prompts)))

    def choices(tokens: torch.Tensor, logits: torch.Tensor, indices: Sequence[int]) -> dict[int, int | None]:
        """A token for each row; none where none may come."""
        allowed = engine.mask([writings[index].matcher for index in indices], logits)
        found: dict[int, int | None] = dict.fromkeys(indices)
        left = allowed.any(dim=-1).nonzero()[:, 0].tolist()
        while left:
            drawing = [draws[indices[row]] for row in left] if draws else []
            chosen = choose(tokens[left], logits[left], drawing, allowed[left]).tolist()
            again = []
            for row, token in zip(left, chosen, strict=True):
                if writings[indices[row]].repeats(token):
                    allowed[row, token] = False
                    again.append(row)
                else:
                    found[indices[row]] = token
            left = [row for row in again if allowed[row].any()]
        return found

    while True:
        asked = [place for place, index in enumerate(going) if not (waiting[index] or writings[index].done)]
        if asked:
            chosen = choices(rows.history()[asked], logits[asked], [going[place] for place in asked])
            for index, token in chosen.items():
                if token is None:
                    writings[index].give_up()
                else:
                    waiting[index] = writings[index].add([token])
        places = []
        for place, index in enumerate(going):
            writing = writings[index]
            if writing.done or (hear and not hear(index, writing.tokens)):
                yield index, Written(writing.tokens, writing.whole)
            else:
                places.append(place)
        if not places:
            return
        if len(places) < len(going):
            rows.keep(places)
            going = [going[place] for place in places]
        width = rows.ragged_width([len(waiting[index]) for index in going]) if jump else 1
        rows.extend([waiting[index][:width] for index in going])
        for index in going:
            waiting[index] = waiting[index][width:]
        logits = rows.read(width)

"""Answers to one batch of prompts by a constraint."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pipestill.inference.constrained.constraint import Constraint
from pipestill.inference.constrained.writing import Writing
from pipestill.inference.decoding import Choose
from pipestill.inference.rows import read_prompts

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix


@torch.inference_mode()
def write_batch(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Choose,
    draws: Sequence[random.Random],
    constraint: Constraint,
    prefix: "SharedPrefix | None" = None,
    jump: bool = True,
) -> list[list[int]]:
    """Tokens of the answers, the end included; see :func:`~pipestill.inference.generation.answer_batch`.

    Args:
        jump: read the tokens that are forced together with the one before them, not one by one; nothing else changes.
    """
    rows, logits = read_prompts(model, prompts, max_new_tokens, prefix)
    writings = [Writing(constraint, max_new_tokens) for _ in prompts]
    waiting = [writing.begin() for writing in writings]  # tokens that each row has not read yet
    going = list(range(len(prompts)))
    while True:
        asked = [place for place, index in enumerate(going) if not (waiting[index] or writings[index].done)]
        if asked:
            matchers = [writings[going[place]].matcher for place in asked]
            allowed = constraint.mask(matchers, logits)
            able = allowed.any(dim=-1).tolist()
            drawing = [draws[going[place]] for place in asked] if draws else []
            chosen = choose(rows.history()[asked], logits[asked], drawing, allowed).tolist()
            for place, token, can in zip(asked, chosen, able, strict=True):
                index = going[place]
                if can:
                    waiting[index] = writings[index].add([token])
                else:
                    writings[index].give_up()
        places = [place for place, index in enumerate(going) if not writings[index].done]
        if not places:
            return [writing.tokens for writing in writings]
        if len(places) < len(going):
            rows.keep(places)
            going = [going[place] for place in places]
        width = rows.ragged_width([len(waiting[index]) for index in going]) if jump else 1
        rows.extend([waiting[index][:width] for index in going])
        for index in going:
            waiting[index] = waiting[index][width:]
        logits = rows.read(width)

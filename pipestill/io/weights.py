"""Weights of a model, read whole: all that its config asks for is there, and all that is there has a place."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipestill.errors import UserError, first_line

NAMED = 3  # weights that a sentence names
SPARE = (  # heads that a language model is published with beside its own, and buffers that once were saved
    r"(^|\.)(pooler|seq_relationship|sop_classifier)\.|(^|\.)position_ids$|\.inv_freq$|\.masked_bias$"
    r"|attn(\.attention)?\.bias$"
)


def load_whole(
    loader: Any, directory: Path, what: str, *, spare: str | None = SPARE, unread: str | None = None, **arguments: Any
) -> Any:
    """The model that ``directory`` holds, if no weight of it is missing, of another shape, or left over.

    Transformers would draw what is missing at random, anew at each load, and leave out what it has no place for. Tied
    weights count as one, and what an adapter adds comes later.

    Args:
        loader: class of transformers.
        directory: config and weights in safetensors.
        what: the model, in words.
        spare: pattern of weights that may be left over; none: any.
        unread: pattern of weights that may be missing, since nothing reads them; none: no weight.
        arguments: of ``from_pretrained``.

    Raises:
        UserError: names the weights, or says what is wrong with the files.
    """
    import torch

    try:
        model, found = loader.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **arguments,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers raises whatever a foreign config leads to
        problem = first_line(error)
        raise UserError(f"{what} cannot be loaded: {problem}") from error
    missing = _without(found["missing_keys"], unread)
    spared = () if spare is None else _without(found["unexpected_keys"], spare)
    other = [f"{name} {tuple(given)} for {tuple(asked)}" for name, given, asked in found["mismatched_keys"]]
    problems = [
        f"{words} {_named(names)}"
        for words, names in (("lacks", missing), ("has no place for", spared), ("has other shapes:", other))
        if names
    ]
    if problems:
        raise UserError(
            f"{what} does not fit its own config.json as a {type(model).__name__}: it {', and '.join(problems)}; take "
            "a complete checkpoint of this architecture, with its head and under the names that transformers gives"
        )
    return model


def _without(names: Iterable[str], pattern: str | None) -> list[str]:
    return sorted(name for name in names if pattern is None or not re.search(pattern, name))


def _named(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

"""What a query takes of a model: tokens, time, and keys and values that are kept for it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from pipestill.io.records import Json

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


def timed(batches: Iterable[T]) -> Iterator[tuple[T, float]]:
    """Each of ``batches`` with the milliseconds that it took to come; what is done with it does not count."""
    waiting = iter(batches)
    while True:
        start = time.perf_counter()
        try:
            batch = next(waiting)
        except StopIteration:
            return
        yield batch, 1000 * (time.perf_counter() - start)


def query(prompt_tokens: int, read_tokens: float, ms: float, written_tokens: int = 0) -> Json:
    """What one query took, for the log of finished rows: a resumed job adds up what its attempts took.

    Args:
        prompt_tokens: length of its whole prompt.
        read_tokens: what of it was read for this query; what several queries share is divided among them.
        ms: milliseconds of the model's work; a batch is divided among its queries.
        written_tokens: length of a generated answer.
    """
    return {"query": {"prompt": prompt_tokens, "read": read_tokens, "written": written_tokens, "ms": ms}}


def queries(model: "nn.Module", rows: Sequence[Json]) -> Json:
    """The content of ``queries.json``: means over finished rows, see :func:`query`.

    Args:
        model: that was asked; one that can write no text keeps no keys and values.
        rows: of the test.
    """
    asked = [row["query"] for row in rows]
    kept = _kept_bytes(model)
    return {
        "queries": len(asked),
        **{f"{key}_tokens": fmean(each[key] for each in asked) for key in ("prompt", "read", "written")},
        "ms": fmean(each["ms"] for each in asked),
        "cache_bytes": fmean(kept(each["prompt"], each["written"]) for each in asked),
    }


def _kept_bytes(model: "nn.Module") -> Callable[[int, int], int]:
    from pipestill.inference.cache import kept_bytes

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not inner.can_generate():
        return lambda prompt, written: 0
    return kept_bytes(inner.config, inner.get_input_embeddings().weight.dtype.itemsize)

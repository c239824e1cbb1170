"""What a query takes of a model: tokens, time, and keys and values that are kept for it."""

import time
from array import array
from collections.abc import Callable, Iterable, Iterator
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


class Queries:
    """What queries took, one after the other; 32 bytes of memory for each."""

    def __init__(self) -> None:
        self._columns = {key: array("d") for key in ("prompt", "read", "written", "ms")}

    def add(self, row: Json) -> None:
        """Count a finished row, see :func:`query`."""
        for key, column in self._columns.items():
            column.append(row["query"][key])

    def means(self, model: "nn.Module") -> Json:
        """The content of ``queries.json``: means over all.

        Args:
            model: that was asked; one that can write no text keeps no keys and values.
        """
        columns, kept = self._columns, _kept_bytes(model)
        lengths = zip(columns["prompt"], columns["written"], strict=True)
        return {
            "queries": len(columns["ms"]),
            **{f"{key}_tokens": fmean(columns[key]) for key in ("prompt", "read", "written")},
            "ms": fmean(columns["ms"]),
            "cache_bytes": fmean(kept(int(prompt), int(written)) for prompt, written in lengths),
        }


def _kept_bytes(model: "nn.Module") -> Callable[[int, int], int]:
    from pipestill.inference.cache import kept_bytes

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not inner.can_generate():
        return lambda prompt, written: 0
    return kept_bytes(inner.config, inner.get_input_embeddings().weight.dtype.itemsize)

"""Times of files that lie in the future, beside which whatever is made now looks old."""

import shlex
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

TIMESTAMP = ".snakemake_timestamp"  # of a directory, by Snakemake
TOLERANCE = 2.0  # seconds by which the clocks of two machines may differ
NAMED = 5


def in_future(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Those of ``paths`` that are there and have a time in the future, each once."""
    latest = time.time() + TOLERANCE
    stamps = ((Path(path), Path(path) / TIMESTAMP) for path in paths)
    for place in dict.fromkeys(stamp if stamp.exists() else path for path, stamp in stamps):
        if place.exists() and place.stat().st_mtime > latest:
            yield place


def future_times(paths: Iterable[str | Path]) -> list[str]:
    """A sentence about those of ``paths`` that have a time in the future, if any has."""
    found = list(in_future(paths))
    if not found:
        return []
    first = datetime.fromtimestamp(found[0].stat().st_mtime).isoformat(" ", "minutes")
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    files = " ".join(shlex.quote(str(path)) for path in found[:NAMED])
    return [
        f"{found[0]} has a time in the future ({first}), so what a job makes of it would be taken for old and removed: "
        f"set the clock right, then `touch {files}`{more}, or run `pipestill doctor --fix`"
    ]

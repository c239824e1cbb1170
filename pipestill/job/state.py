"""State of a job that a disk, an editor or another program may have broken: named, dropped, made again."""

import json
import shutil
import sys
from pathlib import Path

from pipestill.io.records import Json
from pipestill.io.seals import faults, seal_of


def read_state(path: Path) -> Json | None:
    """The JSON object of a file of state; none where there is no file, or a broken one, which is named and removed."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError, IsADirectoryError):
        content = None
    if isinstance(content, dict):
        return content
    drop(path)
    return None


def is_whole(path: Path) -> bool:
    """Whether a sealed file of state is there as it was made; a damaged one is named and removed."""
    if not path.exists():
        return False
    if seal_of(path).is_file() and not any(faults(path)):
        return True
    drop(path)
    return False


def drop(path: Path) -> None:
    """Name a broken file or directory of state, and remove it."""
    print(f"{path} is damaged: it is dropped, and what it kept is made again", file=sys.stderr, flush=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

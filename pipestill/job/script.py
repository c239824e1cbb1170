"""The frame of every workflow script: a quick start, options, whole inputs, sealed outputs, one line for a mistake."""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipestill.errors import UserError, shortened
from pipestill.io.files import write_json
from pipestill.io.seals import seal, seal_of, verify
from pipestill.job.disk import disk_problem
from pipestill.job.processes import Deserted
from pipestill.job.startup import hide_unused

LONGEST = 2000  # characters of a line on stderr
S = TypeVar("S", bound=BaseModel)
OUTPUTS: list[Path] = []  # of this process


def reads(text: str) -> Path:
    """A ``type`` for argparse: a path of the results that the script reads, refused where it is damaged."""
    path = Path(text)
    if not verify(path) and path.exists():
        print(f"{path} has no seal, as of an earlier version or made by hand: taken as it is", flush=True)
    return path


def writes(text: str | Path) -> Path:
    """A ``type`` for argparse: a path that the script writes, sealed when it ends well."""
    path = Path(text)
    OUTPUTS.append(path)
    return path


def write_nothing() -> None:
    """Leave the outputs, and their seals, to another process of this job."""
    OUTPUTS.clear()


def json_option(section: type[BaseModel]) -> Callable[[str], Any]:
    """A ``type`` for argparse: JSON that ``section`` accepts; the error names the wrong key and the reason."""

    def parse(text: str) -> BaseModel:
        try:
            return section.model_validate_json(text)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(_first(error)) from None

    return parse


def options_of_kind(parser: argparse.ArgumentParser, option: str, section: type[S], text: str) -> S:
    """JSON that ``section`` accepts, where another option decides which section that is; ends like a wrong option."""
    try:
        return section.model_validate_json(text)
    except ValidationError as error:
        parser.error(f"argument {option}: {_first(error)}")


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def run(main: Callable[[], None], *, heavy: bool = False) -> None:
    """Run ``main``, and seal its outputs; what a user can mend becomes one line on stderr and an exit code.

    That is a :class:`UserError`, and a disk that is full, broken or closed to the user.

    Args:
        main: parses the command line and works; it imports what is heavy itself.
        heavy: it loads a model. Until then no garbage is collected: to look through the objects of torch and
            transformers, again and again while they become more, takes a fifth of the start.
    """
    hide_unused()
    OUTPUTS.clear()
    if heavy:
        gc.disable()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        main()
        _seal_outputs()
    except UserError as error:
        tell(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read stdout has gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UserError.exit_code)
    except Exception as error:
        problem = disk_problem(error, OUTPUTS)
        if problem is None:
            raise
        tell(UserError(problem))
        sys.exit(UserError.exit_code)


def tell(error: UserError) -> None:
    """Show a mistake on stderr; where several processes may make the same one, leave it to what started them."""
    line = f"error: {shortened(error, LONGEST)}"
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place is None:
        print(line, file=sys.stderr)
    elif not isinstance(error, Deserted):
        write_json(Path(place), {"message": line, "timestamp": time.time(), "exit_code": error.exit_code})


def _seal_outputs() -> None:
    for path in OUTPUTS:
        if path.exists():
            seal(path)
        else:  # an option that this call did not use
            seal_of(path).unlink(missing_ok=True)

"""The frame of every workflow script: a quick start, options, one clear line for mistakes that a user can mend."""

import argparse
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipestill.errors import UserError
from pipestill.job.startup import hide_unused

S = TypeVar("S", bound=BaseModel)


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
    """Run ``main``; a :class:`UserError` becomes one line on stderr and its exit code.

    Args:
        main: parses the command line and works; it imports what is heavy itself.
        heavy: it loads a model. Until then no garbage is collected: to look through the objects of torch and
            transformers, again and again while they become more, takes a fifth of the start.
    """
    hide_unused()
    if heavy:
        gc.disable()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

"""The frame of every workflow script: a quick start, options, one clear line for mistakes that a user can mend."""

import argparse
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from pipestill.errors import UserError
from pipestill.job.startup import hide_unused


def json_option(section: type[BaseModel]) -> Callable[[str], Any]:
    """A ``type`` for argparse: JSON that ``section`` accepts; the error names the wrong key and the reason."""

    def parse(text: str) -> BaseModel:
        try:
            return section.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise argparse.ArgumentTypeError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return parse


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

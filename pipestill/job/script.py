"""The frame of every workflow script: options, and one clear line for mistakes that a user can mend."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from pipestill.errors import UserError


def json_option(section: type[BaseModel]) -> Callable[[str], Any]:
    """A ``type`` for argparse: JSON that ``section`` accepts; the error names the wrong key and the reason."""

    def parse(text: str) -> BaseModel:
        try:
            return section.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise argparse.ArgumentTypeError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return parse


def run(main: Callable[[], None]) -> None:
    """Run ``main``; a :class:`UserError` becomes one line on stderr and its exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

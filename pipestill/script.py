"""The frame of every workflow script: one clear line for mistakes that a user can mend, and no network by accident."""

import os
import sys
from collections.abc import Callable

from pipestill.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run ``main``; a :class:`UserError` becomes one line on stderr and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

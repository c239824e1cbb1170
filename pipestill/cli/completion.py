"""Completion in a shell, by argcomplete."""

import argparse
from pathlib import Path


def experiments(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Names of experiments that there are predictions of, for an argument."""
    found = getattr(parsed_args, "results", Path("results")).glob("*/predictions")
    return sorted(path.parent.name for path in found if path.parent.name.startswith(prefix))

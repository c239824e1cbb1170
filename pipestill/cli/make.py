"""`pipestill make`: Snakemake, with its messages in one live line, and results as they come in."""

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pipestill.warm import reason_against, warm

DRY = {"-n", "--dry-run", "--dryrun"}


def add_command(commands: Any) -> None:
    """Add the command to the parsers of all."""
    parser = commands.add_parser(
        "make",
        help="run the workflow, as `snakemake` does, with one live line and results as they come in",
        epilog="examples: pipestill make all; pipestill make all --cores 4 --configfile config.yaml my.yaml",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="help", help="show this; any option of Snakemake is taken too")
    parser.add_argument(
        "--warm", action="store_true", help="jobs share the imports of one process, which shortens small ones (Linux)"
    )
    parser.set_defaults(command=command)


def command(args: argparse.Namespace) -> None:
    """Run Snakemake with the options of the command line."""
    from snakemake.cli import main
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

    from pipestill.terminal import handler

    registry = LoggerPluginRegistry()
    registry.register_plugin(f"{registry.module_prefix}pipestill", handler)
    others = args.others
    cores = [] if any(each.startswith(("--cores", "-c", "--jobs", "-j")) for each in others) else ["--cores", "all"]
    shown = [] if DRY.intersection(others) else ["--logger", "pipestill"]  # a dry run has nothing to wait for
    with _warm(wanted=args.warm and bool(shown)):
        sys.exit(main([*others, *cores, *shown]))


def _warm(*, wanted: bool) -> AbstractContextManager[None]:
    """What starts jobs warm, where that is wanted and possible."""
    reason = reason_against() if wanted else None
    if reason:
        print(f"--warm is left out: {reason}", file=sys.stderr)
    return warm(os.environ) if wanted and not reason else nullcontext()

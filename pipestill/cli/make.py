"""`pipestill make`: Snakemake, with its messages in one live line, and results as they come in."""

import argparse
import sys
from typing import Any

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
    sys.exit(main([*others, *cores, *shown]))

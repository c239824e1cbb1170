"""The command line: `pipestill init`, `make`, `predict`, `export`, `serve`, `list`, `show`, `doctor` and `check`."""

import argparse
import os
import sys
from pathlib import Path

from pipestill import __version__
from pipestill.cli import export, init, make, overview, predict, serve
from pipestill.job.script import run


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(prog="pipestill", description="Check configurations, and use what was made of them.")
    top.add_argument("--version", action="version", version=f"pipestill {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    init.add_command(commands)
    make.add_command(commands)
    predict.add_command(commands)
    export.add_command(commands)
    serve.add_command(commands)
    overview.add_commands(commands)

    doctor = commands.add_parser(
        "doctor", help="look through a tree of results for damage, and remove what must be made again"
    )
    doctor.add_argument("--results", type=Path, default=Path("results"), help="results directory (default: results)")
    doctor.add_argument("--fix", action="store_true", help="remove what is damaged; ends with the command to make it")
    doctor.add_argument("--yes", action="store_true", help="remove it without asking")
    doctor.set_defaults(command=_doctor)

    check = commands.add_parser(
        "check",
        help="check a configuration; names the file and the line where it is not YAML",
        epilog="example: pipestill check config.yaml my.yaml",
    )
    check.add_argument("files", type=Path, nargs="+", help="configuration files, as they are given to --configfile")
    check.set_defaults(command=_check)
    return top


def _doctor(args: argparse.Namespace) -> None:
    from pipestill.doctor.mend import doctor

    if not doctor(args.results, args.fix, args.yes):
        sys.exit(1)


def _check(args: argparse.Namespace) -> None:
    from pipestill.io.digests import ROOT
    from pipestill.plan.check import check
    from pipestill.plan.compress_checks import check_compressible
    from pipestill.plan.data_checks import examine_data
    from pipestill.plan.files import read_files

    default = Path("config.yaml")
    checked = check(read_files([*([default] if default.exists() else []), *args.files]))
    check_compressible(checked, ROOT)
    for name, said in examine_data(checked).items():
        print(f"{name}: {said}")
    print(f"{', '.join(map(str, args.files))}: no fault was found")


def main() -> None:
    """Run a command, or tell a shell how its line could go on."""
    top = parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(top)  # ends here
    args, others = top.parse_known_args()
    if others and args.command not in (make.command, predict.command):
        top.error(f"unrecognized arguments: {' '.join(others)}")
    args.others = others
    run(lambda: args.command(args), heavy=args.command in (predict.command, export.command, serve.command))

"""`pipestill init`: a configuration of one's own data, after a look at them."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from pipestill.answers.kinds import KINDS
from pipestill.errors import UserError
from pipestill.io.files import write_json, write_text

ROOT = Path(__file__).parents[2]
EXAMPLES = (
    "examples: pipestill init tickets.csv --target team; pipestill init pairs.jsonl --target title --text description; "
    "pipestill init chats.jsonl (rows of messages)"
)


def add_command(commands: Any) -> None:
    """Add the command to the parsers of all."""
    parser = commands.add_parser(
        "init", help="look at a file of your own, and write a configuration that studies it", epilog=EXAMPLES
    )
    parser.add_argument("file", type=Path, help="CSV, TSV, JSON Lines, JSON or Parquet")
    parser.add_argument(
        "--target", metavar="COLUMN", help="column of the answers; not needed for messages and the like"
    )
    parser.add_argument(
        "--text", metavar="COLUMN", nargs="+", default=[], help="columns that are read (default: those that hold texts)"
    )
    parser.add_argument("--kind", choices=[name for name in KINDS if KINDS[name].Definition], help="kind of answers")
    parser.add_argument("--output", type=Path, default=Path("my.yaml"), help="file to write (default: my.yaml)")
    parser.add_argument("--name", help="of task and study (default: that of the file)")
    parser.add_argument(
        "--student", default="demo-student", help="key of `models`, directory, or owner/name@commit of the hub"
    )
    parser.add_argument("--teacher", help="the same for the teacher; none: no teacher (default: the student's, if any)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.set_defaults(command=command)


def command(args: argparse.Namespace) -> None:
    """Look at the file, write the configuration, and say what it assumes.

    Raises:
        UserError: the data do not do, or the configuration is there.
    """
    from pipestill.draft.draft import draft, models_of, name_of
    from pipestill.draft.look import look
    from pipestill.plan.check import check
    from pipestill.plan.files import read_file, read_files
    from pipestill.plan.resolve import merged

    default = Path("config.yaml") if Path("config.yaml").is_file() else ROOT / "config.yaml"
    base = read_files([default])
    config = check(base)
    name = args.name or name_of(args.file.stem)
    if name in config.tasks or name in config.studies:
        raise UserError(f"`{name}` is a task or study of {default}: give another name by --name")
    found = look(args.file, args.target, args.text, args.kind)
    made = draft(found, name, models_of(config, ROOT, args.student, args.teacher), str(args.output.with_suffix("")))
    files = {Path(file): content for file, content in made.files.items()}
    if not args.force and (there := [path for path in (args.output, *files) if path.exists()]):
        raise UserError(f"{there[0]} is there already: give another --output, or --force to write over it")
    for path, content in files.items():
        write_json(path, content)
    write_text(args.output, made.text)
    check(merged(base, read_file(args.output)))
    print("\n".join(made.said))
    print(f"\n{args.output}:\n\n{made.text}")
    own = [] if Path("Snakefile").is_file() else ["--snakefile", str(ROOT / "Snakefile")]
    following = ["snakemake", "--cores", "2", "all", *own, "--configfile", str(default), str(args.output)]
    print(f"next:\n    {shlex.join(following)}")

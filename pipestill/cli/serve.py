"""`pipestill serve`: serve the experiments of a results tree."""

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.serving.settings import STUDY, TOKEN, ServeSettings

MOST = 10**6
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def add_command(commands: Any) -> None:
    """Add the command to the parsers of all."""
    default = ServeSettings()
    parser = commands.add_parser(
        "serve",
        help="serve experiments: an API, an OpenAI-compatible one, and a playground",
        epilog=f"example: pipestill serve --port 8000; clients must send the token that {TOKEN} holds, if it is set",
    )
    parser.add_argument("--results", type=Path, default=default.results, help="results directory (default: results)")
    parser.add_argument("--experiments", nargs="+", default=(), metavar="NAME", help="experiments (default: all)")
    parser.add_argument("--study", default=STUDY, help=f"whose methods are /infer/METHOD too (default: {STUDY})")
    parser.add_argument("--host", default=default.host, help=f"address to listen at (default: {default.host})")
    parser.add_argument("--port", type=int, default=default.port, help=f"port; 0: any (default: {default.port})")
    parser.add_argument("--max-memory", default=None, help="weights in memory at a time, such as 500M or 8G")
    parser.add_argument("--threads", type=int, default=default.threads, help="torch threads (default: 1)")
    parser.add_argument(
        "--queue", type=int, default=default.queue, help=f"requests that wait at most (default: {default.queue})"
    )
    parser.add_argument(
        "--batch-tokens", type=int, default=default.batch_tokens, help=f"of a batch (default: {default.batch_tokens})"
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=default.request_seconds,
        metavar="SECONDS",
        help=f"for an answer (default: {default.request_seconds:g})",
    )
    parser.add_argument("--allow-host", nargs="+", default=(), metavar="NAME", help="further names of this server")
    parser.add_argument(
        "--allow-origin", nargs="+", default=(), metavar="ORIGIN", help="whose pages may read answers (CORS)"
    )
    parser.add_argument("--allow-schemas", action="store_true", help="clients may send JSON Schemas, within bounds")
    parser.add_argument("--allow-code", action="store_true", help="code is run in the sandbox to judge it")
    parser.set_defaults(command=command)


def command(args: argparse.Namespace) -> None:
    """Serve until told to end.

    Raises:
        UserError: there is nothing to serve, or no place to listen at.
    """
    for name in ("threads", "queue", "batch_tokens", "deadline"):
        if not 0 < getattr(args, name) <= MOST:
            raise UserError(f"--{name.replace('_', '-')} is a number from 1 to {MOST}: correct it")
    from pipestill.serving.run import serve

    serve(
        ServeSettings(
            results=args.results,
            experiments=tuple(args.experiments),
            study=args.study,
            host=args.host,
            port=args.port,
            max_memory=None if args.max_memory is None else bytes_of(args.max_memory),
            threads=args.threads,
            queue=args.queue,
            batch_tokens=args.batch_tokens,
            request_seconds=args.deadline,
            allow_hosts=tuple(args.allow_host),
            allow_origins=tuple(args.allow_origin),
            allow_schemas=args.allow_schemas,
            allow_code=args.allow_code,
            token=token_of(os.environ),
        )
    )


def token_of(environ: Mapping[str, str]) -> str | None:
    """The token that clients must send; none where the environment has none.

    Raises:
        UserError: it is empty, so that nobody would be asked for it, or no header can hold it.
    """
    token = environ.get(TOKEN)
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise UserError(
            f"{TOKEN} is empty, or has other characters than visible ones of ASCII: correct it, or unset it to serve "
            "without a token"
        )
    return token


def bytes_of(text: str) -> int:
    """Bytes of a size such as ``500M``.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE | re.ASCII)
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise UserError(f"--max-memory {text!r} is no size: write one such as 500M or 8G")
    return size

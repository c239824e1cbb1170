"""Annotates a task: records in, rationales and their cost out; a killed job resumes."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pipestill.annotation.annotator import Annotator, DeadLetter
from pipestill.annotation.budget import Budget
from pipestill.annotation.endpoint import Endpoint
from pipestill.annotation.estimate import estimate
from pipestill.annotation.failures import Refused
from pipestill.annotation.gate import Stopped
from pipestill.annotation.journal import open_journal
from pipestill.annotation.local_server import LocalModel, serve
from pipestill.annotation.redaction import read_key
from pipestill.annotation.request import parameters
from pipestill.annotation.token_endpoint import TokenEndpoint, served
from pipestill.annotation.usage import usage
from pipestill.errors import UserError
from pipestill.io.files import verify_sha256sums, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, Record, iterate_records, write_jsonl
from pipestill.job.progress import Progress
from pipestill.settings.annotation import OPENROUTER, AnnotationConfig
from pipestill.settings.models import SERVING

LEDGER, CALLS, DEAD = "ledger.jsonl", "calls.jsonl", "dead.jsonl"
KEPT = ("text", "finish_reason", "model", "provider", "usage", "latency_s", "attempts", "max_tokens")  # of an answer


def annotate(
    settings: AnnotationConfig,
    task: str,
    records: Path,
    local: LocalModel | None,
    output: Path,
    usage_file: Path,
    unlabelled: Sequence[Path] = (),
) -> None:
    """Write ``{"id", <name of each step>: answer}`` for the records of the splits to annotate, and ``usage.json``.

    Args:
        settings: of the task's annotation.
        task: name of the task; its ledger is a directory of this name.
        records: cropped records.
        local: the model to serve, for ``provider: local``.
        output: JSON Lines file, in the order of the records.
        usage_file: JSON file.
        unlabelled: further files of records, without gold outputs.

    Raises:
        BudgetReached: exit code 3.
        Refused: exit code 4; the provider refuses, or too many records have no answer.
        UserError: bad records, settings or environment.
    """
    start = time.monotonic()
    rows, shared = _rows(settings, records, unlabelled), parameters(settings, _identity(settings, local))
    directory = Path(settings.ledger) / task
    with exclusive(directory), ExitStack() as stack:
        directory.mkdir(parents=True, exist_ok=True)
        answers = open_journal(directory / LEDGER, KEPT)
        budget = Budget(directory / CALLS, settings.max_cost, settings.max_requests)
        budget.restore(answers.rows, settings.price)
        key, merged = _key(settings), output.with_name(f"{output.name}.merged")
        annotator = Annotator(
            settings, shared, answers, budget, lambda: stack.enter_context(_connection(settings, key, local, merged))
        )
        done, dead = _run(annotator, rows)
        write_jsonl(directory / DEAD, dead)
        if len(dead) > settings.allow_missing * len(rows):
            raise Refused(
                f"{len(dead)} of {len(rows)} records have no answer, the first because of {dead[0]['error']}; "
                f"{directory / DEAD} lists them: run again to ask once more, or raise `allow_missing`"
            )
        write_jsonl(output, done)
        used = usage(
            annotator.asked, answers.rows, budget.calls(), len(rows), len(done), wall_s=time.monotonic() - start
        )
        write_json(usage_file, used)


def write_estimate(
    settings: AnnotationConfig,
    task: str,
    records: Path,
    local: LocalModel | None,
    output: Path,
    unlabelled: Sequence[Path] = (),
) -> None:
    """Write an estimate of the requests and cost of :func:`annotate`; nothing is sent, and no key is needed."""
    rows, shared = _rows(settings, records, unlabelled), parameters(settings, _identity(settings, local))
    directory = Path(settings.ledger) / task
    with exclusive(directory):
        answers = open_journal(directory / LEDGER, KEPT)
    write_json(output, estimate(settings, shared, rows, answers.rows))


def _rows(settings: AnnotationConfig, records: Path, unlabelled: Sequence[Path]) -> list[Record]:
    """Records to annotate, each id once."""
    files = (records, *unlabelled)
    rows = {each.id: each for path in files for each in iterate_records(path) if each.split in settings.splits}
    if not rows:
        raise UserError(f"{records} has no records of the splits {', '.join(settings.splits)}: nothing to annotate")
    return list(rows.values())


def _identity(settings: AnnotationConfig, local: LocalModel | None) -> str:
    """The name of the weights that answer: a hosted model's name, or the digest of a local model's files."""
    return f"sha256:{verify_sha256sums(local.directory)}" if local else settings.model


def _key(settings: AnnotationConfig) -> str | None:
    key = read_key(settings.key_name())
    if key and key in settings.model_dump_json():
        raise UserError(f"the key in {settings.key_name()} also stands in the configuration: remove it there")
    return key


@contextmanager
def _connection(
    settings: AnnotationConfig, key: str | None, local: LocalModel | None, merged: Path
) -> Iterator[Endpoint | TokenEndpoint]:
    """Connect to the provider; a local model is served until the context ends."""
    if local and settings.engine in SERVING:
        with served(settings.engine, local, merged) as endpoint:
            yield endpoint
    elif local:
        with serve(local, merged) as (server, name):
            yield Endpoint(f"{server.url}/v1", server.key, name, settings.timeout_s, check=server.check)
    else:
        yield Endpoint(
            settings.base_url or OPENROUTER, key, settings.model, settings.timeout_s, _provider_options(settings)
        )


def _provider_options(settings: AnnotationConfig) -> dict[str, Any] | None:
    """OpenRouter's ``provider`` object, with the price that the budget counts on as a limit."""
    if settings.provider != "openrouter":
        return None
    price = settings.price
    limit = {"max_price": {"prompt": price.input, "completion": price.output}} if price else {}
    return settings.routing.model_dump(exclude_none=True) | limit


def _run(annotator: Annotator, rows: list[Record]) -> tuple[list[Json], list[Json]]:
    """Rows with their answers in the order of ``rows``, and rows about those without one.

    Raises:
        UserError: the run ended early; what was answered is in the ledger.
    """
    done, dead, ended = {}, {}, None
    progress = Progress(len(rows), "records", "annotating")
    with ThreadPoolExecutor(annotator.settings.concurrency) as pool:
        futures = {pool.submit(annotator.annotate, record): record.id for record in rows}
        try:
            for future in as_completed(futures):
                identity = futures[future]
                try:
                    done[identity] = {"id": identity, **future.result()}
                except DeadLetter as letter:
                    dead[identity] = {"id": identity, **vars(letter)}
                    print(f"no answer for {identity}: {letter.error}", file=sys.stderr, flush=True)
                except Stopped:
                    continue
                except (UserError, OSError) as error:
                    ended = ended or error
                spent = annotator.budget.spent
                progress.update(note=f"${spent:.4f} spent" if spent else "")
        finally:
            annotator.stop()
    if ended:
        kind = type(ended) if isinstance(ended, UserError) else UserError
        raise kind(f"{len(done)} of {len(rows)} records are annotated and kept; {ended}") from None
    order = [record.id for record in rows]
    return [done[i] for i in order if i in done], [dead[i] for i in order if i in dead]

"""Looking through a tree of results: seals, answers, state and times; nothing is changed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipestill.errors import UserError
from pipestill.io.digests import ROOT
from pipestill.io.files import SHA256SUMS, read_json, sha256
from pipestill.io.records import Json, iterate_jsonl
from pipestill.io.seals import faults, seal_of, sealed_by, seals
from pipestill.io.times import in_future
from pipestill.job.cost import is_cost
from pipestill.job.row_log import parse_line

STATE = ".state"
UNFINISHED = (".lock", ".partial", ".merged", ".fetched", ".part")  # what jobs keep beside their outputs meanwhile
COST, FINGERPRINT = "cost.json", "fingerprint.json"
MANIFESTS = "teachers/*/*/manifest.json"
PROJECT = ("Snakefile", "config.yaml", "rules/*", "workflow_scripts/*", "pipestill/**/*", "resources/**/*")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        sentence: what.
        path: what must be made again, dropped, or given another time.
        cure: which of these.
    """

    sentence: str
    path: Path
    cure: Literal["make", "drop", "touch"]


def examine(results: Path) -> list[Finding]:
    """All findings about a tree of results and the project's own files."""
    return [*_damaged(results), *_shards(results), *_unanswered(results), *_state(results), *_times(results)]


def unsealed(results: Path) -> list[Path]:
    """Files that no digest covers: of an earlier version, or made by hand."""
    sealed = {sealed_by(seal) for seal in seals(results)}
    listed = {manifest.parent / entry["file"] for manifest, entry in _entries(results)}
    return [
        path
        for path in _files(results)
        if not _hidden(path.relative_to(results)) and not sealed & {path, *path.parents} and path not in listed
    ]


def _hidden(path: Path) -> bool:
    """True of what is no result: state, locks, what is not complete yet, and files of Snakemake or the system."""
    return any(part.startswith(".") or part.endswith((STATE, *UNFINISHED)) for part in path.parts)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _damaged(results: Path) -> Iterator[Finding]:
    for seal in seals(results):
        path = sealed_by(seal)
        if not any(part.endswith(STATE) for part in path.relative_to(results).parts):
            for fault in faults(path):
                yield Finding(fault, path, "make")


def _entries(results: Path) -> Iterator[tuple[Path, Json]]:
    """Entries of the manifests of distributions; a damaged manifest has none, and is found by its seal."""
    for manifest in sorted(results.glob(MANIFESTS)):
        try:
            found = read_json(manifest)["shards"]
            yield from ((manifest, {"file": entry["file"], "sha256": entry["sha256"]}) for entry in found)
        except (UserError, KeyError, TypeError):
            continue


def _shards(results: Path) -> Iterator[Finding]:
    for manifest, entry in _entries(results):
        file = manifest.parent / entry["file"]
        if not file.is_file():
            yield Finding(f"{file} is missing but listed in {manifest}", file, "make")
        elif sha256(file) != entry["sha256"]:
            yield Finding(f"{file} is not as {manifest} lists it (its sha256 differs)", file, "make")


def _unanswered(results: Path) -> Iterator[Finding]:
    """Predictions that do not answer each test record equally often; sealed ones are found by their seal."""
    for predictions in sorted(results.glob("*/predictions")):
        records = results / "data" / str(_task(predictions)) / "cropped.jsonl"
        if seal_of(predictions).is_file() or not records.is_file():
            continue
        try:
            asked = {row["id"] for row in iterate_jsonl(records) if row["split"] == "test"}
            for file in sorted(predictions.glob("seed_*/predictions.jsonl")):
                answered = Counter(row["id"] for row in iterate_jsonl(file) if row["split"] == "test")
                if set(answered) != asked or len(set(answered.values())) != 1:
                    sentence = f"{file} does not answer each of the {len(asked)} test records of {records} alike"
                    yield Finding(sentence, predictions, "make")
        except (UserError, KeyError) as error:
            yield Finding(f"{predictions} cannot be compared with its records ({error})", predictions, "make")


def _task(predictions: Path) -> str | None:
    """The task of an experiment, where one of its files says so."""
    for path in (predictions / "job.json", predictions.parent / "eval.json"):
        try:
            found = read_json(path)
            return found.get("task") or found["settings"]["asking"]["task"]
        except (UserError, KeyError, AttributeError, TypeError):
            continue
    return None


def _state(results: Path) -> Iterator[Finding]:
    for file in _files(results):
        if not any(part.endswith(STATE) for part in file.relative_to(results).parts[:-1]):
            continue
        if "finished" in file.parts or (file.parent / SHA256SUMS).exists():
            continue  # what has a list of its own is checked by it when it is used
        if file.suffix == ".jsonl":
            lines = file.read_bytes().split(b"\n")[:-1]
            damaged = [str(number) for number, line in enumerate(lines, 1) if parse_line(line) is None]
            if damaged:
                yield Finding(f"{file}, lines {', '.join(damaged)}: damaged state", file, "drop")
        elif file.name in (COST, FINGERPRINT) and not _is_state(file):
            yield Finding(f"{file}: damaged state", file, "drop")


def _is_state(path: Path) -> bool:
    try:
        content = read_json(path)
    except (UserError, ValueError):
        return False
    return isinstance(content, dict) and (path.name != COST or is_cost(content))


def _times(results: Path) -> Iterator[Finding]:
    project: Iterable[Path] = (path for pattern in PROJECT for path in sorted(ROOT.glob(pattern)))
    for path in in_future([*sorted(results.rglob("*")), *project]):
        yield Finding(f"{path} has a time in the future", path, "touch")

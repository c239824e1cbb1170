"""The manifest: which shards a store consists of, what they have in common, and the proof that they belong together."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import read_json, sha256, write_json
from pipestill.io.seals import again

FORMAT = 3
SHARED = {  # facts in which all shards of a store agree, and what a sentence calls them
    "format": "format",
    "shards": "number of shards",
    "teacher": "teacher",
    "vocabulary": "tokenizer",
    "codec": "codec",
    "temperature": "temperature",
    "max_length": "length of rows",
    "form": "form of prompts",
    "data": "training data",
    "versions": "version of the libraries",
}


def write_manifest(facts_files: Sequence[Path], output: Path) -> None:
    """Check the shards and write the manifest.

    Args:
        facts_files: ``shard_<i>.json`` of every shard, each beside its ``shard_<i>.safetensors``.
        output: ``manifest.json`` to write.

    Raises:
        UserError: a shard is missing, damaged, or of another teacher, tokenizer, codec, temperature or data.
    """
    found = {Path(path): _read(path) for path in facts_files}
    ordered = sorted(found, key=lambda path: found[path]["shard"])
    first = ordered[0]
    for path in ordered[1:]:
        for fact, name in SHARED.items():
            if found[path][fact] != found[first][fact]:
                raise UserError(f"{path} has another {name} than {first}: capture this shard again")
    indices = [found[path]["shard"] for path in ordered]
    if indices != list(range(found[first]["shards"])):
        raise UserError(f"{output}: shards 0 to {found[first]['shards'] - 1} are expected, but there are {indices}")
    shards = []
    for path in ordered:
        file, facts = path.with_suffix(".safetensors"), found[path]
        check_file(file, facts["sha256"], path)
        own = {name: facts[name] for name in ("sha256", "bytes", "rows", "tokens")}
        shards.append({"file": Path(os.path.relpath(file, Path(output).parent)).as_posix(), **own})
    sums = {name: sum(shard[name] for shard in shards) for name in ("rows", "tokens", "bytes")}
    common = {name: found[first][name] for name in SHARED if name != "shards"}
    rate = round(sums["bytes"] / max(1, sums["tokens"]), 1)
    write_json(output, {**common, **sums, "bytes_per_token": rate, "shards": shards})


def check_file(path: Path, digest: str, listing: Path) -> None:
    """Refuse a shard that is not the one in ``listing``."""
    if not path.is_file():
        raise UserError(f"{path} is missing but listed in {listing}: capture the distributions again; {again(path)}")
    if sha256(path) != digest:
        raise UserError(
            f"{path} does not match its sha256 in {listing}: it is damaged or of another capture; {again(path)}"
        )


def _read(path: Path) -> dict[str, Any]:
    facts = read_json(path)
    if not isinstance(facts, dict) or not {*SHARED, "shard", "sha256", "bytes", "rows", "tokens"} <= set(facts):
        raise UserError(f"{path} does not describe a shard of teacher distributions: capture this shard again")
    return facts

"""Origin of a trained model's weights: its base model, and the trained models that were merged into it first."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, read_json, sha256, verify_sha256sums
from pipestill.io.seals import made_again, seal_of

LINEAGE = "lineage.json"
ADAPTER = "adapter_config.json"
LABELS = "labels"  # in a lineage, of a classifier: what its head was made for
ANNOUNCED_BYTES = 2**30  # checking takes seconds beyond this: say so


def make_lineage(
    directory: Path, base_dir: Path, init: Path | None = None, labels: Sequence[str] = ()
) -> dict[str, Any]:
    """The ``lineage.json`` of a model that will lie in ``directory``.

    Args:
        directory: the final place of the trained model; paths are relative to it, so that a results tree can move.
        base_dir: its base model.
        init: the trained model that it started from, if any; what that one started from comes before it.
        labels: of its head, where it is a classifier.
    """
    merged = []
    if init is not None:
        ancestors = [(init / entry["path"], entry["sha256"]) for entry in read_lineage(init)["merged"]]
        for path, digest in [*ancestors, (init, sha256(init / SHA256SUMS))]:
            relative = os.path.relpath(path.resolve(), Path(directory).resolve())
            merged.append({"path": Path(relative).as_posix(), "sha256": digest})
    lineage = {"base_model": {"sha256sums": sha256(Path(base_dir) / SHA256SUMS)}, "merged": merged}
    return lineage | ({LABELS: list(labels)} if labels else {})


def read_lineage(directory: Path) -> dict[str, Any]:
    """The ``lineage.json`` of a trained model."""
    return read_json(Path(directory) / LINEAGE)


def is_adapter(directory: Path) -> bool:
    """True if a trained model is an adapter, rather than full weights."""
    return (Path(directory) / ADAPTER).is_file()


def verify(directory: Path) -> str:
    """Check a model directory's checksums; returns the digest of its ``SHA256SUMS``, which is its identity."""
    size = sum(path.stat().st_size for path in Path(directory).glob("*.safetensors"))
    if size > ANNOUNCED_BYTES:
        print(f"checking {size / 2**30:.1f} GiB of {directory}", file=sys.stderr)
    if not seal_of(Path(directory)).is_file():  # not made here
        return verify_sha256sums(directory)
    with made_again(Path(directory)):
        return verify_sha256sums(directory)


def resolve(model_dir: Path, base_dir: Path) -> tuple[Path, list[Path]]:
    """Parts of ``model_dir``: the directory of its full weights, and the adapters to apply to them in order.

    Everything that is used is checked against its checksums and against the digests in the lineage.

    Raises:
        UserError: an ancestor is missing or is not the one that the model was trained on.
    """
    model_dir = Path(model_dir)
    if not model_dir.is_dir():
        raise UserError(f"{model_dir} does not exist: train the model first")
    verify(model_dir)
    adapters: list[Path] = []
    if not is_adapter(model_dir):
        return model_dir, adapters
    lineage = read_lineage(model_dir)
    adapters.append(model_dir)
    for entry in reversed(lineage["merged"]):
        ancestor = Path(os.path.normpath(model_dir / entry["path"]))
        _check(ancestor, entry["sha256"], model_dir)
        if not is_adapter(ancestor):
            return ancestor, adapters[::-1]
        adapters.append(ancestor)
    _check(Path(base_dir), lineage["base_model"]["sha256sums"], model_dir)
    return Path(base_dir), adapters[::-1]


def _check(ancestor: Path, digest: str, model_dir: Path) -> None:
    if not ancestor.is_dir():
        raise UserError(f"{model_dir} was trained on {ancestor}, which is missing: make it and train this again")
    if verify(ancestor) != digest:
        raise UserError(f"{model_dir} was trained on another version of {ancestor}: train it again")

"""Where a number comes from: the state of the code, the configuration, the data, the models and the machine."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, read_json, sha256


def git_commit(directory: Path) -> str | None:
    """Commit of the checkout that ``directory`` lies in, with ``-dirty`` when tracked files differ from it."""
    git = ["git", "-C", str(directory)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """sha256 of each file, by path."""
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise UserError(f"{missing[0]} does not exist, so its sha256 cannot be recorded")
    return {str(path): sha256(path) for path in paths}


def provenance(config_sha256: str, data: Sequence[Path], models: Sequence[Path], predictions: Path) -> dict[str, Any]:
    """The ``provenance`` of ``eval.json``.

    Args:
        config_sha256: digest of every setting that the experiment's numbers depend on.
        data: files that the numbers come from.
        models: model directories, each identified by the digest of its ``SHA256SUMS``.
        predictions: directory of the predictions, with the hardware plan and the library versions of their job.
    """
    return {
        "git_commit": git_commit(Path(__file__).parent),
        "config_sha256": config_sha256,
        "data_sha256": digests(data),
        "model_sha256": digests([Path(model) / SHA256SUMS for model in models]),
        "versions": read_json(predictions / "versions.json"),
        "hardware": read_json(predictions / "hardware.json"),
    }

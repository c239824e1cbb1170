"""Origin of a number: the state of the code, the configuration, the data, the models and the machine."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import Provenance
from pipestill.evaluation.inputs import Inputs
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


def provenance(config_sha256: str, inputs: Inputs) -> Provenance:
    """The origin of an experiment's numbers.

    Args:
        config_sha256: digest of every setting that they depend on.
        inputs: data files; model directories, each identified by the digest of its ``SHA256SUMS``; and the predictions,
            with the hardware plan and the library versions of their job.
    """
    models = [*([inputs.base] if inputs.base else []), *inputs.models]
    return Provenance(
        git_commit=git_commit(Path(__file__).parent),
        config_sha256=config_sha256,
        data_sha256=digests(inputs.data),
        model_sha256=digests([Path(model) / SHA256SUMS for model in models]),
        versions=read_json(inputs.predictions / "versions.json"),
        hardware=read_json(inputs.predictions / "hardware.json"),
    )

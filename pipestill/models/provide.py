"""Base models for a run: copied from a directory or downloaded at a pinned revision, converted, aligned and sealed."""

import os
import re
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError
from pipestill.io.files import (
    SHA256SUMS,
    fresh_directory,
    read_json,
    sha256,
    verify_sha256sums,
    write_json,
    write_sha256sums,
)
from pipestill.io.lock import exclusive
from pipestill.models.align import Prompting, align_special_tokens, align_tokenizer
from pipestill.models.convert import INDEX, PICKLE_INDEX, convert_pickles
from pipestill.models.kinds import CLASSIFIER, KINDS, auto_class, kind_of, read_config, reading
from pipestill.models.loading import check_model, check_weights
from pipestill.models.profile import profile
from pipestill.settings.models import BaseModelConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
PICKLES = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
OTHERS = re.compile(r"[^/]+\.(json|jinja|model|tiktoken)|merges\.txt|vocab\.txt|README\.md|(LICENSE|NOTICE)[^/]*")
SEAL = (  # makes the list that files.verify_sha256sums wants
    f"cd {{directory}} && find -L . -type f ! -name {SHA256SUMS} ! -name '.*' -printf '%P\\n' | sort | "
    f"xargs -d '\\n' sha256sum > {SHA256SUMS}"
)
WRITTEN = {"profile.json", "provenance.json"}  # by this module


def provide_base_model(config: BaseModelConfig, directory: Path) -> None:
    """Make ``directory`` a base model: weights in safetensors, a tokenizer that agrees with them, and checksums.

    A local directory is checked against its ``SHA256SUMS``; of one without it the digests of the files are recorded.
    ``provenance.json`` says where it came from and what was converted; ``profile.json`` how large it is. A call that is
    still at work on ``directory`` is waited for.

    Raises:
        UserError: the source is missing, incomplete, damaged or of another kind, its files are not of one model, its
            chat template is broken, or the hub cannot be reached.
    """
    with exclusive(directory), fresh_directory(directory) as temporary:
        if config.source == "path":
            source, origin = _local(Path(config.path))
        else:
            source, origin = _download(config.repo, config.revision)
        for name in wanted(path.name for path in source.iterdir() if path.is_file()):
            place(source / name, temporary / name, link=config.source == "hub")
        converted = convert_pickles(temporary)
        what, prompting = f"base model {config.path or config.repo}", Prompting(config.bos, config.date)
        check_complete(temporary, what)
        _check_kind(temporary, config)
        align_tokenizer(temporary, what, read_config(temporary), prompting)
        align_special_tokens(temporary)
        check_model(temporary, what)
        facts = {"kind": config.kind, **origin, "converted": converted, **asdict(prompting)}
        write_json(temporary / "provenance.json", facts)
        write_json(temporary / "profile.json", profile(architecture(temporary).requires_grad_(False)))
        write_sha256sums(temporary)


def _check_kind(directory: Path, config: BaseModelConfig) -> None:
    described = read_config(directory)
    found = kind_of(described)
    if found == CLASSIFIER:
        raise UserError(
            f"base model {config.path or config.repo} is a classifier ({', '.join(described.architectures)}), and "
            "students start from language models: name the model that it was made of"
        )
    if found != config.kind:
        raise UserError(
            f"base model {config.path or config.repo} has `kind: {config.kind}`, but its config.json describes "
            f"the architecture {', '.join(described.architectures or ['(unnamed)'])}: set `kind: {found}`"
        )
    reading(described)


def wanted(names: Iterable[str]) -> list[str]:
    """The files of a model that are used: weights (pickles only where safetensors are missing), config, tokenizer."""
    names = sorted(set(names) - WRITTEN)
    weights, other = (SAFETENSORS, PICKLE_INDEX) if any(map(SAFETENSORS.fullmatch, names)) else (PICKLES, INDEX)
    return [name for name in names if weights.fullmatch(name) or (OTHERS.fullmatch(name) and name != other)]


def _local(source: Path) -> tuple[Path, dict[str, Any]]:
    if not source.is_dir():
        raise UserError(f"base model directory {source} does not exist: correct `path` under `models:`")
    facts = {"source": "path", "name": source.name}
    if (source / SHA256SUMS).is_file():
        return source, {**facts, "sha256sums": verify_sha256sums(source)}
    names = wanted(path.name for path in source.iterdir() if path.is_file())
    if pickle := next((name for name in names if PICKLES.fullmatch(name)), None):
        raise UserError(
            f"base model directory {source} holds weights as a pickle ({pickle}), which could run code, and no "
            f"{SHA256SUMS}: save the model again as safetensors, or make the list where it is known to be good: "
            f"{SEAL.format(directory=shlex.quote(str(source)))}"
        )
    return source, {**facts, "files": {name: sha256(source / name) for name in names}}


def _download(repo: str, revision: str) -> tuple[Path, dict[str, Any]]:
    """Download into the hub's cache, which keeps finished files and is shared; without a network, look there."""
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    model = f"model {repo} at revision {revision}"
    patterns, offline = None, None
    try:
        try:
            patterns = wanted(HfApi().list_repo_files(repo, revision=revision))
        except (OfflineModeIsEnabled, httpx2.ConnectError, httpx2.TimeoutException) as error:
            offline = error
        snapshot = snapshot_download(
            repo, revision=revision, allow_patterns=patterns, local_files_only=offline is not None
        )
    except IncompleteSnapshotError as error:  # it may only lack files that are not wanted: checked below
        snapshot = error.snapshot_path
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{model} is not in the local cache, and the hub cannot be reached ({type(offline or error).__name__}): "
            "run once with a network and without HF_HUB_OFFLINE, or download it elsewhere and use `source: path`"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{model}: the repository has no such commit: correct `revision` under `models:`") from error
    except GatedRepoError as error:
        raise UserError(f"{model} is gated: accept its licence on the hub and set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"{model} does not exist or is private: correct `repo`, or set HF_TOKEN") from error
    except httpx2.HTTPError as error:
        raise UserError(
            f"{model} could not be downloaded ({type(error).__name__}): run again, finished files are kept"
        ) from error
    return Path(snapshot), {"source": "hub", "repo": repo, "revision": revision}


def place(source: Path, target: Path, link: bool = False) -> None:
    """Copy, or link to the cache's own file, where it lies on the same disk."""
    source = source.resolve()
    if link:
        try:
            return os.link(source, target)
        except OSError:
            pass
    shutil.copyfile(source, target)


def check_complete(directory: Path, what: str) -> None:
    """Refuse full weights of which a part is missing or damaged; ``what`` they are is said in the sentence."""
    from safetensors import SafetensorError, safe_open

    if not (directory / "config.json").is_file():
        raise UserError(f"{what} has no config.json: it is not a model for transformers, or is incomplete")
    check_weights(directory)
    if (directory / INDEX).is_file():
        for name in sorted(set(read_json(directory / INDEX)["weight_map"].values())):
            if not (directory / name).is_file():
                raise UserError(f"{what} is incomplete: {name} is missing, download it again")
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                pass
        except SafetensorError as error:
            raise UserError(f"{path.name} of {what} is damaged ({error}): download it again") from error


def architecture(directory: Path) -> "PreTrainedModel":
    """The model that ``config.json`` describes, in its stored number format, on no device.

    Raises:
        UserError: it describes no language model.
    """
    import torch

    config = read_config(directory)
    kind = kind_of(config)
    try:
        with torch.device("meta"):
            return auto_class(kind).from_config(config, dtype=config.dtype or torch.float32)
    except (ValueError, KeyError) as error:
        raise UserError(f"config.json does not describe a {KINDS[kind].words}: {str(error).splitlines()[0]}") from error

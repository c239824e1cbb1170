"""Putting raw files into place: copied, or fetched with what is needed to resume."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipestill.io.files import sha256
from pipestill.io.records import Json
from pipestill.layouts.fetch import copy, fetch
from pipestill.settings.data import FileConfig
from pipestill.text.credentials import public

NO_DIGEST = "no digest is recorded"


def take_files(wanted: Mapping[Path, FileConfig], directory: Path) -> dict[Path, Json]:
    """Copy or fetch each file to its path, and say where it came from.

    What is fetched waits for the others beside ``directory``, so that a later call fetches only the rest.
    """
    fetched = {path: _fetched(file, path.name, directory) for path, file in wanted.items() if file.url}
    for path, file in wanted.items():
        if path in fetched:
            fetched[path].replace(path)
        else:
            copy(Path(file.path), path, digest=file.sha256)
    taken = {}
    for path, file in wanted.items():
        taken[path] = {"origin": public(file.url) if file.url else file.path, **identity(path)}
        if path in fetched and file.sha256 is None:
            taken[path]["unchecked"] = NO_DIGEST
            print(f"{public(file.url)}: unchecked, {NO_DIGEST}; sha256 is {taken[path]['sha256']}")
    return taken


def _fetched(file: FileConfig, name: str, directory: Path) -> Path:
    address = hashlib.sha256(file.url.encode()).hexdigest()[:8]
    path = directory.with_name(f"{directory.name}.{name}.{address}.fetched")
    if not path.exists() or (file.sha256 and sha256(path) != file.sha256):
        fetch(file.url, path, digest=file.sha256)
    return path


def identity(path: Path) -> Json:
    """Bytes and digest of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}

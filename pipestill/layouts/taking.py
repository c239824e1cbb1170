"""Putting raw files into place: copied, or fetched with what is needed to resume."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipestill.io.archives import extract
from pipestill.io.files import sha256
from pipestill.io.records import Json
from pipestill.layouts.fetch import copy, fetch
from pipestill.settings.data import FileConfig, RowsFile
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


def take_rows(wanted: Mapping[Path, RowsFile], directory: Path) -> dict[Path, Json]:
    """As :func:`take_files`, of files that may lie in archives; each archive is taken once.

    Raises:
        UserError: an archive is damaged, or has no such file.
    """
    archives: dict[tuple[str | None, ...], Path] = {}  # by origin and digest
    places = {}
    for path, file in wanted.items():
        archive = path.with_name(f"archive{len(archives)}.zip")
        places[path] = archives.setdefault((file.path, file.url, file.sha256), archive) if file.member else path
    taken = take_files({places[path]: file for path, file in wanted.items()}, directory)
    described = {}
    for path, file in wanted.items():
        described[path] = taken[places[path]]
        if file.member:
            extract(places[path], file.member, path)
            own = {"member": file.member, "archive_sha256": described[path]["sha256"]}
            described[path] = {**described[path], **own, **identity(path)}
    for archive in archives.values():
        archive.unlink()
    return described


def _fetched(file: FileConfig, name: str, directory: Path) -> Path:
    address = hashlib.sha256(file.url.encode()).hexdigest()[:8]
    path = directory.with_name(f"{directory.name}.{name}.{address}.fetched")
    if not path.exists() or (file.sha256 and sha256(path) != file.sha256):
        fetch(file.url, path, digest=file.sha256)
    return path


def identity(path: Path) -> Json:
    """Bytes and digest of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}

"""Where a task's raw data come from: a generator, local files, or addresses."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.data import RAW_DATA, RAW_MANIFEST, RAW_ROLE
from pipestill.data.download import copy, fetch
from pipestill.errors import UserError
from pipestill.io import files
from pipestill.io.archives import members, write_archive
from pipestill.io.lock import exclusive
from pipestill.io.records import write_jsonl
from pipestill.plan.data import SourceConfig
from pipestill.settings.data import FileConfig
from pipestill.tasks import TASKS, Task

NO_DIGEST = "no digest is recorded"


def provide_raw(task: str, config: SourceConfig, directory: Path) -> None:
    """Write raw data and ``manifest.json`` to ``directory``.

    A task with classes has one file, ``data.json``; the manifest holds its source, sha256, bytes and facts. A task with
    test sets has a file for each role, one of documents an archive or table for each of its files; the manifest holds
    the same of each under ``files``.

    What is fetched and has no digest to be checked by is said to be ``unchecked``, there and in the log.

    An interrupted fetch is continued by the next call; a call that is still at work is waited for.
    """
    directory, provide = Path(directory), _one_file if TASKS[task].ranks_labels else _several_files
    if TASKS[task].collection:
        provide = _collection
    with exclusive(directory), files.fresh_directory(directory) as temporary:
        manifest = {"source": config.source, **provide(TASKS[task], config, directory, temporary)}
        files.write_json(temporary / RAW_MANIFEST, manifest)


def _one_file(task: Task, config: SourceConfig, directory: Path, temporary: Path) -> dict[str, Any]:
    data = temporary / RAW_DATA
    if config.source == "synthetic":
        rows, facts = task.synthetic(config.rows, config.seed)
        lines = ",\n".join(files.dump_compact(row) for row in rows)
        files.write_text(data, f"[\n{lines}\n]\n")
        origin = f"generator of {task.name}, {config.rows} rows, seed {config.seed}"
        return {"origin": origin, **_identity(data), **facts}
    keys = {"file": "path", "url": "url"}[config.source]
    file = FileConfig(sha256=config.sha256, **{keys: getattr(config, keys)})
    return _take({data: file}, directory)[data]


def _several_files(task: Task, config: SourceConfig, directory: Path, temporary: Path) -> dict[str, Any]:
    paths = {role: temporary / RAW_ROLE.format(role=role) for role in config.roles_of(task)}
    if config.source == "files":
        taken = _take({path: config.files[role] for role, path in paths.items()}, directory)
        described = {
            role: {**taken[path], **config.files[role].model_dump(include={"limit"}, exclude_none=True)}
            for role, path in paths.items()
        }
        return {"origin": ", ".join(file["origin"] for file in described.values()), "files": described}
    sizes = {role: config.rows if role == "train" else config.test_rows for role in paths}
    rows, facts = task.synthetic(sizes, config.seed)
    for role, path in paths.items():
        write_jsonl(path, rows[role])
    counts = ", ".join(f"{size} {role}" for role, size in sizes.items())
    origin = f"generator of {task.name}, rows: {counts}, seed {config.seed}"
    return {"origin": origin, "files": {role: _identity(path) for role, path in paths.items()}, **facts}


def _collection(task: Task, config: SourceConfig, directory: Path, temporary: Path) -> dict[str, Any]:
    if config.source == "synthetic":
        rows, facts = task.synthetic(config.rows, config.seed)
        origin = f"generator of {task.name}, {config.rows} rows, seed {config.seed}"
        written = {path.stem: path for path in task.collection.write(rows, temporary)}
        described = {
            name: {"file": path.name, "use": "divide", "origin": origin, **_identity(path)}
            for name, path in written.items()
        }
        return {"origin": origin, "files": described, **facts}
    described = take_documents(config.files_of(), temporary, directory)
    return {"origin": ", ".join(file["origin"] for file in described.values()), "files": described}


def take_documents(wanted: Mapping[str, FileConfig], target: Path, beside: Path) -> dict[str, dict[str, Any]]:
    """Put archives and tables into the directory ``target``, folders as archives, and describe each by its name.

    Args:
        wanted: files by name.
        target: directory to put them into.
        beside: a path beside which fetched files wait for the others.

    Raises:
        UserError: a file is missing, cannot be fetched, or has another digest.
    """
    described, paths = {}, {}
    for name, file in wanted.items():
        folder = file.path is not None and Path(file.path).is_dir()
        paths[name] = target / f"{name}{'.zip' if folder else file.suffix}"
        if folder:
            if file.sha256:
                raise UserError(f"files.{name}: {file.path} is a folder, which has no sha256 to check; remove the key")
            described[name] = _pack(Path(file.path), paths[name])
    taken = _take({path: wanted[name] for name, path in paths.items() if name not in described}, beside)
    return {
        name: {
            "file": paths[name].name,
            "use": file.use_of(name),
            **file.model_dump(include={"limit"}),
            **(described.get(name) or taken[paths[name]]),
        }
        for name, file in wanted.items()
    }


def _pack(folder: Path, path: Path) -> dict[str, Any]:
    """Put the text files of ``folder`` into an archive, and say what was left out."""
    found = list(members(folder))
    write_archive(path, ((member.name, member.content) for member in found if member.content is not None))
    left_out = [member.name for member in found if member.content is None]
    return {"origin": str(folder), "left_out": left_out, **_identity(path)}


def _take(wanted: Mapping[Path, FileConfig], directory: Path) -> dict[Path, dict[str, Any]]:
    """Copy or fetch each file to its path, and say where it came from; what is fetched waits for the others beside
    ``directory``, so that a later call goes on with the rest."""
    fetched = {path: _fetched(file, path.name, directory) for path, file in wanted.items() if file.url}
    for path, file in wanted.items():
        if path in fetched:
            fetched[path].replace(path)
        else:
            copy(Path(file.path), path, digest=file.sha256)
    taken = {}
    for path, file in wanted.items():
        taken[path] = {"origin": file.url or file.path, **_identity(path)}
        if path in fetched and file.sha256 is None:
            taken[path]["unchecked"] = NO_DIGEST
            print(f"{file.url}: unchecked, {NO_DIGEST}; sha256 is {taken[path]['sha256']}")
    return taken


def _fetched(file: FileConfig, name: str, directory: Path) -> Path:
    address = hashlib.sha256(file.url.encode()).hexdigest()[:8]
    path = directory.with_name(f"{directory.name}.{name}.{address}.fetched")
    if not path.exists() or (file.sha256 and files.sha256(path) != file.sha256):
        fetch(file.url, path, digest=file.sha256)
    return path


def _identity(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}

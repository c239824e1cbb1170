"""Where a task's raw data come from: a generator, a local file, or an address."""

from pathlib import Path

from pipestill import files
from pipestill.config import SourceConfig
from pipestill.data import RAW_DATA, RAW_MANIFEST
from pipestill.data.download import copy, fetch
from pipestill.lock import exclusive
from pipestill.tasks import TASKS


def provide_raw(task: str, config: SourceConfig, directory: Path) -> None:
    """Write ``data.json`` and ``manifest.json`` (source, sha256, bytes, facts) to ``directory``.

    An interrupted fetch is continued by the next call; a call that is still at work is waited for.
    """
    directory = Path(directory)
    with exclusive(directory), files.fresh_directory(directory) as temporary:
        data = temporary / RAW_DATA
        facts = {}
        if config.source == "synthetic":
            origin = f"generator of {task}, {config.rows} rows, seed {config.seed}"
            rows, facts = TASKS[task].synthetic(config.rows, config.seed)
            lines = ",\n".join(files.dump_compact(row) for row in rows)
            files.write_text(data, f"[\n{lines}\n]\n")
        elif config.source == "file":
            origin = config.path
            copy(Path(origin), data, digest=config.sha256)
        else:
            origin = config.url
            fetched = directory.with_name(f"{directory.name}.fetched")
            fetch(origin, fetched, digest=config.sha256)
            fetched.replace(data)
        manifest = {
            "source": config.source,
            "origin": origin,
            "bytes": data.stat().st_size,
            "sha256": files.sha256(data),
            **facts,
        }
        files.write_json(temporary / RAW_MANIFEST, manifest)

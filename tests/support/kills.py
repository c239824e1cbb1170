"""What must be the same in the results of a run that was killed and of one that was not."""

import json

SAME = (
    "*/seed_*/model/adapter_model.safetensors",
    "*/seed_*/model/history.jsonl",
    "*/predictions/seed_*/*.json*",
    "teachers/*/model/model.safetensors",
    "teachers/*/outputs.jsonl",
    "data/**/*.json*",
)

TIMES = ("wall_s", "latency_s", "ms")


def content(path):
    """What is in a file, without the times of a ``usage.json`` or ``queries.json``."""
    if path.name not in ("usage.json", "queries.json"):
        return path.read_bytes()
    return {name: value for name, value in json.loads(path.read_text()).items() if name not in TIMES}


def compared(run, pattern):
    """Files of a run that are compared, relative to it; seals are not, for they are of times too."""
    found = (path for path in (run / "results").glob(pattern) if not path.name.startswith("."))
    return sorted(path.relative_to(run) for path in found)


def is_same(run, other, path):
    """Whether both runs made the same of a file."""
    return (other / path).is_file() and content(other / path) == content(run / path)

"""A task's data stages in one process: raw data, records, prompts and training rows, from keys of the configuration."""

from collections import Counter

from pipestill.io.files import read_json
from pipestill.io.records import read_records
from pipestill.layouts.base import Cropping, write_records
from pipestill.methods import method_of
from pipestill.objectives.training_file import made_rows, separated
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks.base import ANSWER


def provide(task, directory, **data):
    """Raw data of ``task`` in ``directory``, with the keys ``data`` of its section."""
    task.layout.provide(task, task.layout.Options.model_validate(data), directory)


def read(task, directory, **data):
    """Records and manifest of the raw data in ``directory / "raw"``, both also written into ``directory``."""
    records, manifest = directory / "records.jsonl", directory / "manifest.json"
    options = task.layout.Options.model_validate(data)
    write_records(task, task.layout, options, directory / "raw", records, manifest)
    return read_records(records), read_json(manifest)


def prepare(task, directory, **data):
    """:func:`provide` into ``directory / "raw"``, and :func:`read`."""
    provide(task, directory / "raw", **data)
    return read(task, directory, **data)


def prompted(task, records, prompt=ANSWER, **data):
    """Cropped records with their prompts, and how many of each text were cropped."""
    options = task.layout.Options.model_validate(data)
    counts = Counter()
    return list(task.layout.crop_all(records, options, Cropping(task.prompts[prompt]), counts)), counts


def rows_of(task, method, records, rows=None, outputs=None, rationales=None, seed=1):
    """Training and validation rows of ``method``'s objective."""
    settings = TrainingFileSettings(task=task.name, prompt=task.prompts[ANSWER], method=method, rows=rows, seed=seed)
    return separated(made_rows(task, method_of(method).objective, settings, records, outputs, rationales))

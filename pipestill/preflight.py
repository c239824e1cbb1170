"""What can be known to be missing before any work starts."""

import shutil
from pathlib import Path

from pipestill import experiments
from pipestill.config import Config
from pipestill.methods import METHODS

SPARE = 1 << 30  # bytes that logs, data and predictions may take
STATE_FACTOR = {"lora": 0.5, "full": 8.0}  # of a base model's bytes: weights, two checkpoints with optimizer states


def problems(config: Config, root: Path, workdir: Path) -> list[str]:
    """Sentences about what is missing: local models, local data, and room on the disk.

    Args:
        config: the checked configuration.
        root: directory of the project, where shipped models are found.
        workdir: directory of the run.
    """
    found, needed = [], SPARE
    for study in dict.fromkeys(study for study, _ in experiments.experiments(config)):
        task = config.studies[study].task
        path = config.tasks[task].path
        if config.tasks[task].source == "file" and not (workdir / path).is_file():
            found.append(f"tasks.{task}.path: {path} does not exist; put the data there, or name another file")
    for study, method in experiments.experiments(config):
        name = experiments.base_model(config, study, method)
        model = config.models[name]
        if model.source != "path":
            continue
        directory = next((place / model.path for place in (workdir, root) if (place / model.path).is_dir()), None)
        if directory is None:
            found.append(f"models.{name}.path: {model.path} does not exist; name a model directory")
        elif method == "teacher" or METHODS[method].trains:
            size = sum(file.stat().st_size for file in directory.glob("*.safetensors"))
            factor = STATE_FACTOR[experiments.training(config, study, method).adaptation]
            needed += round(size * factor) * len(experiments.seeds(config, study, method))
    free = shutil.disk_usage(workdir).free
    if free < needed:
        found.append(f"{workdir} has {free / 1e9:.1f} GB of free disk, but the run may need {needed / 1e9:.1f} GB")
    return list(dict.fromkeys(found))

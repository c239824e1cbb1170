"""What a name given by hand stands for: an experiment, a model directory or a hub repository."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, read_json, sha256
from pipestill.plan.data import TaskConfig
from pipestill.settings.data import CropConfig
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import PredictionSettings
from pipestill.settings.models import BaseModelConfig, HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS

RUN = re.compile(r"(?P<experiment>.+)/seed_(?P<seed>\d+)/model")  # a model directory that the pipeline made
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
MEASURED = ("none", "multi_null", "pmi")  # calibrations that need nothing but the model
MODEL_ROOTS = ("{results}/models", "resources/models")  # where the base of a trained model directory is looked for


@dataclass(frozen=True)
class Target:
    """A model to predict with.

    Attributes:
        name: what the user called it.
        seed: seed of the run, where it is one of an experiment.
        base: directory of the base model.
        model: directory of the trained model, if it is one.
        calibration: name of the calibration in use; none in a task that generates text.
        prior: the prior of each label, where it was fitted in the experiment; none: to be measured.
        settings: what a prediction job of the model would be told.
    """

    name: str
    seed: int | None
    base: Path
    model: Path | None
    calibration: str | None
    prior: dict[str, float] | None
    settings: PredictionSettings

    @property
    def crop_tokenizer(self) -> Path | None:
        """The ``tokenizer.json`` whose tokens are counted where documents are cropped; it lies beside the base."""
        crop = self.settings.crop
        return self.base.parent / crop.tokenizer / "tokenizer.json" if crop and crop.tokenizer else None


def find_target(
    name: str, results: Path, seed: int | None, task: str, calibration: str | None, revision: str | None
) -> Target:
    """What ``name`` stands for.

    Args:
        name: an experiment (``creditmix_sft``), a model directory, or a repository of the hub.
        results: directory of the results tree.
        seed: which run of an experiment; the first when none.
        task: the task, for models that are not experiments.
        calibration: name of a calibration; none: the experiment's choice, or no calibration.
        revision: commit of a hub repository; the newest when none.

    Raises:
        UserError: there is no such thing; the message lists what there is.
    """
    if (results / name / "predictions").is_dir():
        return _experiment(name, results / name / "predictions", seed, calibration)
    run = RUN.fullmatch(Path(name).resolve().as_posix())
    if run and (Path(run["experiment"]) / "predictions" / f"seed_{run['seed']}").is_dir():
        return _experiment(name, Path(run["experiment"]) / "predictions", int(run["seed"]), calibration)
    if Path(name).is_dir():
        return _directory(name, Path(name), results, task, calibration)
    known = ", ".join(sorted(path.parent.name for path in results.glob("*/predictions"))) or "none yet"
    unknown = f"`{name}` is no experiment under {results} (there are: {known}) and no model directory"
    if not HUB_ID.fullmatch(name) or name.startswith(("results/", "resources/")):
        raise UserError(f"{unknown}, and cannot be a hub repository")
    try:
        return _directory(name, _from_hub(name, results, revision), results, task, calibration)
    except UserError as error:
        raise UserError(f"{unknown}; as a hub repository: {error}") from None


def _experiment(name: str, predictions: Path, seed: int | None, calibration: str | None) -> Target:
    job = read_json(predictions / "job.json")
    if "sentences" in job:
        raise UserError(f"`{name}` has no model, its answers are sentences of the documents: name another experiment")
    runs = {int(run): model for run, model in job["runs"].items()}
    seed = min(runs) if seed is None else seed
    if seed not in runs:
        raise UserError(f"`{name}` has no run with seed {seed}; there are: {', '.join(map(str, sorted(runs)))}")
    settings, prior = PredictionSettings.model_validate(job["settings"]), None
    if settings.generation is None:
        fitted = read_json(predictions / f"seed_{seed}" / "calibration.json")
        calibration = calibration or fitted["chosen"]
        prior = fitted["priors"][calibration]
    elif calibration is not None:
        raise UserError(f"`{name}` generates text, so there is nothing to calibrate: leave --calibration out")
    model = runs[seed] and _normal(predictions / runs[seed])
    return Target(name, seed, _normal(predictions / job["base"]), model, calibration, prior, settings)


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _directory(name: str, directory: Path, results: Path, task: str, calibration: str | None) -> Target:
    from pipestill.models.lineage import LINEAGE, read_lineage

    if calibration not in (None, *MEASURED):
        raise UserError(
            f"calibration `{calibration}` was fitted in no experiment of `{name}`; there are: {', '.join(MEASURED)}"
        )
    training, hardware, base, model, rationale_tokens = TrainingConfig(), HardwareConfig(), directory, None, 0
    if (directory / LINEAGE).is_file():
        if (directory / "training.json").is_file():  # a checkpoint from elsewhere has none
            settings = read_json(directory / "training.json")
            training = TrainingConfig.model_validate(settings["training"])
            hardware = HardwareConfig.model_validate(settings["hardware"])
            rationale_tokens = settings.get("rationale_tokens", 0)
        base, model = _base_of(directory, read_lineage(directory)["base_model"]["sha256sums"], results), directory
    ranks_labels, new_tokens = TASKS[task].ranks_labels, TASKS[task].max_new_tokens + rationale_tokens
    if calibration is not None and not ranks_labels:
        raise UserError(f"task `{task}` generates text, so there is nothing to calibrate: leave --calibration out")
    settings = PredictionSettings(
        task=task,
        calibration=calibration or "none",
        null_inputs=None,
        max_prompt_tokens=training.max_length - new_tokens,
        max_new_tokens=new_tokens,
        rationale_tokens=rationale_tokens,
        adaptation=training.adaptation,
        hardware=hardware,
        code="by hand",
        max_chars=TaskConfig.model_fields["max_chars"].default,
        crop=CropConfig() if TASKS[task].collection else None,
        template=TaskConfig.model_fields["template"].default,
        generation=None if ranks_labels else GenerationConfig(),
    )
    return Target(name, None, base, model, settings.calibration if ranks_labels else None, None, settings)


def _base_of(directory: Path, digest: str, results: Path) -> Path:
    roots = [Path(root.format(results=results)) for root in MODEL_ROOTS]
    for root in roots:
        for listing in sorted(root.glob(f"*/{SHA256SUMS}")):
            if sha256(listing) == digest:
                return listing.parent
    raise UserError(
        f"the base model that {directory} was trained on is not in {' or '.join(map(str, roots))}; make it first"
    )


def _from_hub(repo: str, results: Path, revision: str | None) -> Path:
    from pipestill.models.provide import provide_base_model

    revision = revision or _newest_revision(repo)
    directory = results / "models" / f"{repo.replace('/', '--')}-{revision[:8]}"
    if not directory.is_dir():
        provide_base_model(BaseModelConfig(source="hub", repo=repo, revision=revision), directory)
    return directory


def _newest_revision(repo: str) -> str:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        return HfApi().model_info(repo).sha
    except RepositoryNotFoundError:
        raise UserError(
            f"the hub has no repository `{repo}`, or it is private: correct the name or set HF_TOKEN"
        ) from None
    except (OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise UserError(
            f"the hub cannot be asked for the newest revision of `{repo}` ({type(error).__name__}): "
            "name a downloaded one with --revision, or use a model directory"
        ) from None

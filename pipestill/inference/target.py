"""What a name given by hand stands for: an experiment, a model directory or a hub repository."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.io.digests import listing_digest
from pipestill.io.files import SHA256SUMS, read_json, sha256
from pipestill.io.seals import verify
from pipestill.layouts.base import DataOptions
from pipestill.methods import method_of
from pipestill.models.lineage import LINEAGE, read_lineage
from pipestill.plan.model_files import ModelFiles
from pipestill.settings.jobs import Asking, PredictionJob, PredictionSettings, TrainingSettings
from pipestill.settings.models import BaseModelConfig, HardwareConfig
from pipestill.settings.section import Section
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS, Task, task_of
from pipestill.tasks.base import ANSWER
from pipestill.text.crop import Ends, unit_ends

RUN = re.compile(r"(?P<experiment>.+)/seed_(?P<seed>\d+)/model")  # a model directory that the pipeline made
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
S = TypeVar("S", bound=Section)
MODEL_ROOTS = ("{results}/models", "resources/models")  # where the base of a trained model directory is looked for


@dataclass(frozen=True)
class Target:
    """A model to predict with.

    Attributes:
        name: what the user called it.
        settings: what a prediction job of the model would be told.
        base: directory of the base model.
        model: directory of the trained model, if it is one.
        seed: seed of the run, where it is one of an experiment.
        run: directory of the run's predictions, where it is one of an experiment.
        crop_tokenizer: the ``tokenizer.json`` whose tokens cropping counts; none: it counts characters.
        weights: digest of the list of files of the model that predicted in a run; none where it is not known.
    """

    name: str
    settings: PredictionSettings
    base: Path
    model: Path | None = None
    seed: int | None = None
    run: Path | None = None
    crop_tokenizer: Path | None = None
    weights: str | None = None

    @property
    def task(self) -> Task:
        """The task that it is asked about."""
        return task_of(self.settings.asking)

    @cached_property
    def units(self) -> Ends:
        """The units that cropping counts."""
        return unit_ends(self.crop_tokenizer)

    @cached_property
    def data(self) -> DataOptions:
        """Options of the task's layout."""
        return self.task.layout.Options.model_validate(self.settings.data)

    def asking(self, given: Mapping[str, object]) -> Asking:
        """How it is asked, where ``given`` replaces options of the task's answers.

        Raises:
            UserError: such answers have no such option, or one prompt cannot be answered with it.
        """
        known, asking = self.task.answers.Options.model_fields, self.settings.asking
        for name in given:
            if name not in known:
                raise UserError(f"answers of task `{self.task.name}` have no `{name}`: leave it out")
        try:
            options = self.task.answers.options({**asking.answers, **given})
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}") from None
        self.task.answers.check_request(options, self.run)
        asking = asking.model_copy(update={"answers": {**asking.answers, **given}})
        if "max_new_tokens" not in given:
            return asking
        return asking.model_copy(update={"max_new_tokens": options.max_new_tokens + asking.rationale_tokens})


def find_target(name: str, results: Path, task: str, seed: int | None = None, revision: str | None = None) -> Target:
    """What ``name`` stands for.

    Args:
        name: an experiment (``creditmix_sft``), a model directory, or a repository of the hub.
        results: directory of the results tree.
        task: the task, for models that are not experiments.
        seed: which run of an experiment; the first when none.
        revision: commit of a hub repository; the newest when none.

    Raises:
        UserError: there is no such thing; the message lists what there is.
    """
    if (results / name / "predictions").is_dir():
        return find_experiment(name, results, seed)
    run = RUN.fullmatch(Path(name).resolve().as_posix())
    if run and (Path(run["experiment"]) / "predictions" / f"seed_{run['seed']}").is_dir():
        return _experiment(name, Path(run["experiment"]), int(run["seed"]))
    if Path(name).is_dir():
        return _directory(name, Path(name), results, task)
    unknown = f"{_unknown(name, results)} and no model directory"
    if not HUB_ID.fullmatch(name) or name.startswith(("results/", "resources/")):
        raise UserError(f"{unknown}, and cannot be a hub repository")
    try:
        return _directory(name, _from_hub(name, results, revision), results, task)
    except UserError as error:
        raise UserError(f"{unknown}; as a hub repository: {error}") from None


def find_experiment(name: str, results: Path, seed: int | None = None) -> Target:
    """A run of the experiment ``name``: with ``seed``, or else the first.

    Raises:
        UserError: there is no such run, or it has no model.
    """
    if not (results / name / "predictions").is_dir():
        raise UserError(_unknown(name, results))
    return _experiment(name, results / name, seed)


def _unknown(name: str, results: Path) -> str:
    known = ", ".join(sorted(path.parent.name for path in results.glob("*/predictions"))) or "none yet"
    return f"`{name}` is no experiment under {results} (there are: {known})"


def _read(section: type[S], path: Path, way_out: str) -> S:
    try:
        content = read_json(path)
        content.pop("seed", None)  # of a training
        return section.model_validate(content)
    except ValidationError:
        raise UserError(f"{path} was written by another version: {way_out}") from None


def _experiment(name: str, experiment: Path, seed: int | None) -> Target:
    verify(experiment / "predictions")
    runs = runs_of(name, experiment)
    seed = min(runs) if seed is None else seed
    if seed not in runs:
        raise UserError(f"`{name}` has no run with seed {seed}; there are: {', '.join(map(str, runs))}")
    return runs[seed]


def runs_of(name: str, experiment: Path) -> dict[int, Target]:
    """Runs of an experiment by seed, the first one first; its seal is not looked at.

    Args:
        name: what the user called it.
        experiment: its directory.

    Raises:
        UserError: it has no model, or was predicted by another version.
    """
    if not method_of(experiment.name.rpartition("_")[2]).model:
        raise UserError(f"`{name}` has no model, its answers are sentences of the documents: name another experiment")
    predictions = experiment / "predictions"
    job = _read(PredictionJob, predictions / "job.json", "predict again")

    def place(path: str | None) -> Path | None:
        return path and Path(os.path.normpath(predictions / path))

    common = {"base": place(job.base), "crop_tokenizer": place(job.crop_tokenizer)}
    return {
        seed: Target(
            name,
            job.settings,
            model=place(job.runs[seed]),
            seed=seed,
            run=predictions / f"seed_{seed}",
            weights=job.weights.get(seed),
            **common,
        )
        for seed in sorted(job.runs)
    }


def _directory(name: str, directory: Path, results: Path, task: str) -> Target:
    training, hardware, base, model, rationale_tokens = TrainingConfig(), HardwareConfig(), directory, None, 0
    prompt = TASKS[task].prompts[ANSWER]
    if not any((directory / each).is_file() for each in (LINEAGE, SHA256SUMS)):
        base = _taken(directory, results)
    if (directory / LINEAGE).is_file():
        if (directory / "training.json").is_file():  # a checkpoint from elsewhere has none
            settings = _read(TrainingSettings, directory / "training.json", "train again")
            training, hardware, rationale_tokens = settings.training, settings.hardware, settings.rationale_tokens
            prompt = settings.prompt or prompt
        base, model = _base_of(directory, read_lineage(directory)["base_model"]["sha256sums"], results), directory
    new_tokens = TASKS[task].answers.max_new_tokens + rationale_tokens
    asking = Asking(
        task=task,
        prompt=prompt,
        max_prompt_tokens=training.max_length - new_tokens,
        max_new_tokens=new_tokens,
        rationale_tokens=rationale_tokens,
    )
    settings = PredictionSettings(
        asking=asking, adaptation=training.adaptation, hardware=hardware, code="by hand", data={}
    )
    return Target(name, settings, base, model)


def _base_of(directory: Path, digest: str, results: Path) -> Path:
    roots = [Path(root.format(results=results)) for root in MODEL_ROOTS]
    for root in roots:
        for listing in sorted(root.glob(f"*/{SHA256SUMS}")):
            if sha256(listing) == digest:
                return listing.parent
    raise UserError(
        f"the base model that {directory} was trained on is not in {' or '.join(map(str, roots))}; make it first"
    )


def _taken(directory: Path, results: Path) -> Path:
    """A base model that is made of a directory without a list of checksums, as a configuration that names it does."""
    from pipestill.models.provide import provide_base_model

    taken = results / "models" / f"{directory.resolve().name}-{listing_digest(directory)[:8]}"
    if not taken.is_dir():
        kind = ModelFiles(directory).kind or "causal"
        provide_base_model(BaseModelConfig(source="path", path=str(directory), kind=kind), taken)
    return taken


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

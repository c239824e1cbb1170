"""Input functions and parameters of the rules: methods that Snakemake calls with a job's wildcards."""

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipestill.io.digests import FETCHING, canonical_json, code_digest, json_digest
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.job.halves import half_name
from pipestill.methods import METHODS, TEACHER_NAME, method_of
from pipestill.objectives.base import OUTPUTS, RATIONALES
from pipestill.plan.config import Config
from pipestill.plan.jobs import Jobs, layout_module, task_module, told
from pipestill.plan.shares import origin
from pipestill.tasks import TASKS

Wildcards = Any  # Snakemake's, whose attributes are those of the rule
Files = list[str] | str


class Plan(Jobs):
    """The rules' side of a checked configuration.

    Args:
        config: with studies at shares, see :func:`pipestill.plan.shares.with_shares`.
        root: directory of the project, where scripts and shipped models are found.
    """

    def __init__(self, config: Config, root: Path):
        super().__init__(config)
        self.root = root

    # Names that wildcards may have.

    @property
    def checkpoints(self) -> list[str]:
        """Names of all checkpoints."""
        return sorted({name for study in self.config.studies.values() for name in study.checkpoints})

    @property
    def with_model(self) -> list[str]:
        """Methods, checkpoints and the teacher: rows of tables in which a model answers."""
        return [*(name for name, method in METHODS.items() if method.model), *self.checkpoints, TEACHER_NAME]

    @property
    def files(self) -> list[str]:
        """Names of training files."""
        objectives = [method_of(name).objective for name in (TEACHER_NAME, *METHODS)]
        return list(dict.fromkeys(each.file.name for each in objectives if each))

    def script(self, name: str) -> str:
        """Path of a workflow script, relative to the working directory."""
        return os.path.relpath(self.root / "workflow_scripts" / f"{name}.py")

    @property
    def gpu(self) -> int:
        """GPUs that a job which runs a model asks for."""
        return int(self.config.hardware.device in ("cuda", "xpu"))

    # Data.

    def raw_data(self, w: Wildcards) -> str:
        """JSON of the options that decide a task's raw data."""
        return canonical_json(TASKS[w.task].layout.raw_options(self.config.tasks[w.task].data))

    def raw_digest(self, w: Wildcards) -> list[str]:
        """Digest of each local data file of a task, so that an edited file is read again."""
        return local_digests(TASKS[w.task].layout.local_files(self.config.tasks[w.task].data).values())

    def raw_code(self, w: Wildcards) -> str:
        """Digest of the code of `download`; only synthetic data are made by a task's own code."""
        synthetic = self.config.tasks[w.task].data.source == "synthetic"
        return code_digest("download", layout_module(w.task), *FETCHING, *([task_module(w.task)] if synthetic else []))

    def division(self, w: Wildcards) -> str:
        """JSON of the options that decide a task's records."""
        keys = {"max_bad_share", "columns", "ignored_columns", "splits"}
        return canonical_json(self.config.tasks[w.task].data.model_dump(mode="json", include=keys))

    def cropping(self, w: Wildcards) -> str:
        """JSON of the options that decide how inputs are cropped."""
        return canonical_json(TASKS[w.task].layout.crop_options(self.config.tasks[w.task].data))

    def prompt(self, w: Wildcards) -> str:
        """The prompt that a task is asked with."""
        return self.config.tasks[w.task].prompt

    def splitter(self, w: Wildcards) -> str:
        """Splitter of sentences of a task or a study."""
        return self.config.tasks[self._task(w)].splitter

    def crop_tokenizer(self, w: Wildcards) -> Files:
        """Base model whose tokens are counted where texts are cropped, if tokens are."""
        tokenizer = self.config.tasks[self._task(w)].data.tokenizer
        return f"<results>/models/{tokenizer}" if tokenizer else []

    def tokenizer_option(self, w: Wildcards, input: Any) -> str:
        """Option that names its tokenizer."""
        return f"--tokenizer {input.tokenizer}/tokenizer.json" if input.tokenizer else ""

    def task_code(self, script: str, *modules: str) -> Callable[[Wildcards], str]:
        """Function that gives the digest of the code of ``script``, which works on a task's data."""
        return lambda w: code_digest(script, task_module(self._task(w)), layout_module(self._task(w)), *modules)

    def task_of(self, w: Wildcards) -> str:
        """Name of the task of a study."""
        return self.study(w.study).task

    def _task(self, w: Wildcards) -> str:
        return getattr(w, "task", None) or self.task_of(w)

    def cropped(self, w: Wildcards) -> str:
        """Cropped records of a study's task."""
        return f"<results>/data/{self.task_of(w)}/cropped.jsonl"

    def file_settings(self, w: Wildcards) -> str:
        """JSON of the settings of a job that writes a training file."""
        return self.training_file_settings(w.study, w.file)

    def file_outputs(self, w: Wildcards) -> Files:
        """The teacher's outputs, for the training files that are made of them."""
        made_of = OUTPUTS in self.sources(w.study, self.maker(w.study, w.file))
        return f"{self.teacher_directory(w)}/outputs.jsonl" if made_of else []

    def file_rationales(self, w: Wildcards) -> Files:
        """The annotation's answers, for the training files that are made of them."""
        made_of = RATIONALES in self.sources(w.study, self.maker(w.study, w.file))
        return f"<results>/data/{self.task_of(w)}/rationales.jsonl" if made_of else []

    def learner(self, w: Wildcards) -> str:
        """Base model that is trained on a training file."""
        return self.base_directory(w, self.maker(w.study, w.file))

    def file_tokenizer(self, w: Wildcards) -> Files:
        """Base model whose tokens are counted where rationales are cropped."""
        return self.crop_tokenizer(w) if self.file_rationales(w) else []

    def file_options(self, w: Wildcards, input: Any) -> str:
        """Options that name what only some training files are made of."""
        outputs = [f"--outputs {input.outputs}"] if input.outputs else []
        rationales = [f"--rationales {input.rationales}"] if input.rationales else []
        return " ".join([*outputs, *rationales, self.tokenizer_option(w, input)]).strip()

    def long_answers(self, w: Wildcards) -> Files:
        """Counts of long answers among those that an experiment learnt from, where they do not stop the run."""
        trained = self.entry(w.study, w.method).trains and self.study(w.study).on_long_answer != "stop"
        file = f"long_answers/{self.entry(w.study, w.method).objective.file.name}.json" if trained else ""
        return f"<results>/data/{w.study}/{file}" if file else []

    def file_code(self, w: Wildcards) -> str:
        """Digest of the code of such a job."""
        objective, task = method_of(self.maker(w.study, w.file)).objective, self.task_of(w)
        return code_digest("training_file", task_module(task), layout_module(task), type(objective).__module__)

    # Models.

    def model_source(self, w: Wildcards) -> str:
        """JSON of the source of a base model; shipped models are found from any working directory."""
        model = self.config.models[w.model]
        if directory := model.locate(self.root):
            model = model.model_copy(update={"path": os.path.relpath(directory)})
        return model.model_dump_json()

    def model_identity(self, w: Wildcards) -> str | None:
        """Digest of a local base model's list of checksums, so that a changed model is taken again."""
        directory = self.config.models[w.model].locate(self.root)
        listing = directory / SHA256SUMS if directory else None
        return sha256(listing) if listing and listing.is_file() else None

    def checkpoint_path(self, w: Wildcards) -> str:
        """Directory of a checkpoint on disk."""
        return self.study(w.study).checkpoints[w.checkpoint].path

    def checkpoint_identity(self, w: Wildcards) -> str:
        """Digest of names, sizes and times of a checkpoint's files, so that a changed checkpoint is taken again."""
        return listing_digest(Path(self.checkpoint_path(w)))

    def base_directory(self, w: Wildcards, method: str | None = None) -> str:
        """Directory of the base model of an experiment."""
        return f"<results>/models/{self.base_model(w.study, method or self._method(w))}"

    def _method(self, w: Wildcards) -> str:
        return getattr(w, "method", None) or getattr(w, "checkpoint", TEACHER_NAME)

    def teacher_base(self, w: Wildcards) -> str:
        """Directory of the base model of a study's teacher."""
        return self.base_directory(w, TEACHER_NAME)

    def student_base(self, w: Wildcards) -> str:
        """Directory of the base model of a study's students."""
        return f"<results>/models/{self.study(w.study).student}"

    def run_models(self, w: Wildcards) -> list[str]:
        """Model directories of the runs of an experiment; none where one of `models` is taken as it is."""
        if w.method == TEACHER_NAME:
            return self.teacher_model(w)
        if w.method in self.study(w.study).checkpoints:
            own = self.study(w.study).checkpoints[w.method].model is None
            return [f"<results>/{w.study}_{w.method}/model"] if own else []
        if not self.entry(w.study, w.method).trains:
            return []
        return [f"<results>/{w.study}_{w.method}/seed_{seed}/model" for seed in self.run_seeds(w)]

    def run_seeds(self, w: Wildcards) -> list[int]:
        """Seeds of the runs of an experiment."""
        return self.seeds(w.study, w.method)

    # The teacher.

    def teacher_directory(self, w: Wildcards) -> str:
        """Directory of what belongs to a study's teacher; a study at a share of its rows has that of the whole one."""
        return f"<results>/teachers/{origin(w.study)}"

    def teacher_model(self, w: Wildcards) -> list[str]:
        """Model directory of a study's teacher; none where it is taken as it is."""
        trained = self.entry(w.study, TEACHER_NAME).trains
        return [f"{self.teacher_directory(w)}/model"] if trained else []

    def teacher_seed(self, w: Wildcards) -> int:
        """Seed of the teacher."""
        return self.seeds(w.study, TEACHER_NAME)[0]

    def teacher_option(self, w: Wildcards, input: Any) -> str:
        """Option that names the teacher's fine-tuned model."""
        return f"--teacher {input.teacher}" if input.teacher else ""

    def teacher_settings(self, w: Wildcards) -> str:
        """JSON of the settings of the teacher's training."""
        return self.training_settings(w.study, TEACHER_NAME)

    def outputs_settings(self, w: Wildcards) -> str:
        """JSON of the settings of the job in which the teacher answers."""
        return self.scoring_settings(w.study)

    def shard_settings(self, w: Wildcards) -> str:
        """JSON of the settings of a job that captures distributions."""
        return self.capture_settings(w.study)

    def shard_count(self, w: Wildcards) -> int:
        """Jobs that the work is divided among."""
        return self.study(w.study).distributions.shards

    def shards(self, w: Wildcards) -> list[str]:
        """Files of the shards of a study's teacher distributions."""
        directory = f"{self.teacher_directory(w)}/distributions"
        return [f"{directory}/shard_{shard}.safetensors" for shard in range(self.shard_count(w))]

    def shard_facts(self, w: Wildcards) -> list[str]:
        """Facts about each shard."""
        return [shard.replace(".safetensors", ".json") for shard in self.shards(w)]

    def distributions(self, w: Wildcards) -> list[str]:
        """Manifest and shards of a study's teacher distributions, if any of its methods reads them."""
        if not self.readers(w.study):
            return []
        return [f"{self.teacher_directory(w)}/distributions/manifest.json", *self.shards(w)]

    def comparison_settings(self, w: Wildcards) -> str:
        """JSON of the settings of the job that compares gradients."""
        return self.fidelity_settings(w.study)

    # Students.

    def training_data(self, w: Wildcards) -> str:
        """Training file of an experiment."""
        return f"<results>/data/{w.study}/{self.entry(w.study, w.method).objective.file.name}.jsonl"

    def validation_data(self, w: Wildcards) -> str:
        """Validation rows in the schema of the training file."""
        return f"<results>/data/{w.study}/validation/{self.entry(w.study, w.method).objective.file.name}.jsonl"

    def start(self, w: Wildcards) -> Files:
        """Model directory that training starts from, where that is the SFT student."""
        from_sft = self.training(w.study, w.method).training.init == "sft"
        return f"<results>/{w.study}_sft/seed_{w.seed}/model" if from_sft else []

    def online_teacher(self, w: Wildcards) -> list[str]:
        """Base model and fine-tuned model of a teacher that runs beside the student; nothing for other methods."""
        objective = self.entry(w.study, w.method).objective
        if not objective.online(self.training(w.study, w.method).options):
            return []
        return [self.base_directory(w, TEACHER_NAME), *self.teacher_model(w)]

    def cached_teacher(self, w: Wildcards) -> list[str]:
        """The teacher's distributions, for a method that reads them."""
        return self.distributions(w) if w.method in self.readers(w.study) else []

    def student_settings(self, w: Wildcards) -> str:
        """JSON of the settings of a student's training."""
        return self.training_settings(w.study, w.method)

    def init_option(self, w: Wildcards, input: Any) -> str:
        """Option that names the model to start from."""
        return f"--init {input.start}" if input.start else ""

    def training_teacher(self, w: Wildcards, input: Any) -> str:
        """Options that name the teacher of a training job."""
        if input.distributions:
            return f"--distributions {input.distributions[0]}"
        return " ".join(
            f"{name} {path}" for name, path in zip(("--teacher-base", "--teacher"), input.teacher, strict=False)
        )

    # Annotation.

    def annotator_prompt(self, w: Wildcards) -> str:
        """JSON of what decides the training rows of a local annotator."""
        return self.config.tasks[w.task].annotation.model_dump_json(include={"provider", "model", "steps"})

    def annotator_base(self, w: Wildcards) -> str:
        """Base model of a task's local annotator."""
        return f"<results>/models/{self.config.tasks[w.task].annotation.model}"

    def annotator_training(self, w: Wildcards) -> str:
        """JSON of the settings of its training."""
        return self.annotator_settings(w.task)

    def annotation(self, w: Wildcards) -> str:
        """JSON of the settings of an annotation job."""
        return self.annotation_settings(w.task)

    def annotator(self, w: Wildcards) -> list[str]:
        """Model and base model of a task's local annotator; nothing for other providers."""
        local = self.config.tasks[w.task].annotation.provider == "local"
        return [f"<results>/annotators/{w.task}/model", self.annotator_base(w)] if local else []

    def annotator_options(self, w: Wildcards, input: Any) -> str:
        """Options that name the local annotator, and say that a task's documents were generated."""
        options = "--synthetic" if self.config.tasks[w.task].data.source == "synthetic" else ""
        if not input.local:
            return options
        model, base = input.local
        return f"--model {model} --base {base} --device {self.config.hardware.device} {options}"

    def annotator_gpu(self, w: Wildcards) -> int:
        """GPUs of an annotation job: those that serve a local annotator."""
        return self.gpu if self.config.tasks[w.task].annotation.provider == "local" else 0

    # Predictions and metrics.

    def predictions_settings(self, w: Wildcards) -> str:
        """JSON of the settings of a prediction job."""
        return self.prediction_settings(w.study, w.method)

    def ranking(self, w: Wildcards) -> str:
        """Ranking of sentences by which a method without a model answers."""
        return METHODS[w.method].extract

    def models_option(self, w: Wildcards, input: Any) -> str:
        """Option that names the models of the runs."""
        return f"--models {input.models}" if input.models else ""

    def agreement_data(self, w: Wildcards) -> Files:
        """Validation answers on which students are compared with the teacher's distributions, if there are any."""
        return f"<results>/data/{w.study}/validation/sft.jsonl" if self.distributions(w) else []

    def agreement_options(self, w: Wildcards, input: Any) -> str:
        """Options that name both."""
        if not input.answers:
            return ""
        return f"--distributions {input.distributions[0]} --agreement-data {input.answers}"

    def bertscore_encoder(self, w: Wildcards) -> str:
        """Directory of the encoder that BERTScore compares texts by."""
        return f"<results>/models/{self.study(w.study).answers.bertscore.encoder}"

    def bertscore_options(self, w: Wildcards) -> str:
        """Options that say how BERTScore is computed."""
        settings = self.study(w.study).answers.bertscore
        baseline = f" --baseline {shlex.quote(settings.baseline)}" if settings.baseline else ""
        names = " ".join(self.task(w.study).layout.test_sets(self.task_config(w.study).data))
        return f"--layer {settings.layer} --test-sets {names}{baseline} --device {self.hardware(w.study).device}"

    @property
    def with_encoder(self) -> list[str]:
        """Studies that name an encoder for BERTScore."""
        models = {name: self.task(name).answers.models(study.answers) for name, study in self.config.studies.items()}
        return [name for name, named in models.items() if "bertscore.encoder" in named]

    def bertscores(self, w: Wildcards) -> Files:
        """BERTScores of an experiment, where its study names an encoder."""
        return f"<results>/{w.study}_{w.method}/bertscore.json" if w.study in self.with_encoder else []

    def evaluated_base(self, w: Wildcards) -> Files:
        """Directory of the base model of an experiment that has a model."""
        return self.base_directory(w) if self.entry(w.study, w.method).model else []

    def evaluated_data(self, w: Wildcards) -> list[str]:
        """Data files that an experiment's numbers come from."""
        objective = self.entry(w.study, w.method).objective
        return [self.cropped(w), *([f"<results>/data/{w.study}/{objective.file.name}.jsonl"] if objective else [])]

    def run_costs(self, w: Wildcards) -> list[str]:
        """Cost of the training jobs of the runs of an experiment."""
        if not self.entry(w.study, w.method).trains:
            return []
        return [str(Path(model).parent / "cost.json") for model in self.run_models(w)]

    def teacher_costs(self, w: Wildcards) -> list[str]:
        """Cost of the jobs in which the teacher made what the students of a method learn from."""
        if not self.learns_from_teacher(w.study, w.method):
            return []
        directory = self.teacher_directory(w)
        trained = [f"{directory}/cost.json"] if self.teacher_model(w) else []
        outputs = [f"{directory}/outputs_cost.json"] if OUTPUTS in self.sources(w.study, w.method) else []
        stored = self.shards(w) if self.cached_teacher(w) else []
        return [*trained, *outputs, *[shard.replace(".safetensors", "_cost.json") for shard in stored]]

    def annotation_usage(self, w: Wildcards) -> Files:
        """Usage of the annotation that an experiment learnt from, if it did."""
        annotated = RATIONALES in self.sources(w.study, w.method)
        return f"<results>/data/{self.task_of(w)}/usage.json" if annotated else []

    def annotator_cost(self, w: Wildcards) -> Files:
        """Cost of training the local annotator that an experiment learnt from, if it did."""
        local = self.annotation_usage(w) and self.task_config(w.study).annotation.provider == "local"
        return f"<results>/annotators/{self.task_of(w)}/cost.json" if local else []

    def described(self, w: Wildcards) -> str:
        """JSON of what an experiment is."""
        return told(self.experiment(w.study, w.method))

    def evaluation_options(self, w: Wildcards, input: Any) -> str:
        """Options that name what only some experiments have."""
        runs = f"--models {input.models} --costs {input.costs}" if input.models else ""
        teacher = f"--teacher-costs {input.teacher_costs}" if input.teacher_costs else ""
        names = ("usage", "annotator_cost", "base", "bertscore", "long_answers")
        others = [f"--{name.replace('_', '-')} {path}" for name in names if (path := input.get(name))]
        return " ".join(filter(None, [runs, teacher, *others]))

    def evaluation_code(self, w: Wildcards) -> str:
        """Digest of the code of an evaluation."""
        answers, halves = self.task(w.study).answers, ("score", "card")
        modules = [*(half_name(answers, stage) for stage in halves), *answers.scorers]
        return code_digest("evaluate", task_module(self.task_of(w)), *modules)

    # The report.

    def of_experiments(self, name: str) -> list[str]:
        """One file of each experiment."""
        return [f"<results>/{study}_{method}/{name}" for study, method in self.experiments]

    def of_learning_curve(self, name: str) -> Callable[[Wildcards], list[str]]:
        """Function that gives one file of each experiment that a learning curve is drawn through."""
        return lambda wildcards: [
            f"<results>/{study}_{method}/{name}" for study, method in self.learning_curve(wildcards.study)
        ]

    def shares(self, w: Wildcards) -> list[float]:
        """Shares of a learning curve."""
        return self.study(w.study).learning_curve

    def fidelity_files(self) -> list[str]:
        """Facts about the caches of all studies that have one."""
        return [f"<results>/teachers/{study}/fidelity.json" for study in self.config.run if self.readers(study)]

    def report_code(self, script: str) -> str:
        """Digest of the code of a job that reports on all studies."""
        tasks = {study.task for study in self.config.studies.values()}
        halves = {half_name(TASKS[task].answers, stage) for task in tasks for stage in ("score", "show")}
        return code_digest(script, *sorted(halves), *sorted(map(task_module, tasks)))

    def method_entries(self) -> str:
        """JSON of what the report says of all methods, in their order."""
        return canonical_json(
            [[name, each.title, each.summary, each.trains, each.model, each.teacher] for name, each in METHODS.items()]
        )

    # Challenges.

    def challenge_files(self, w: Wildcards) -> str:
        """JSON of the sources of a challenge's documents."""
        documents = self.study(w.study).submission.documents
        return canonical_json({name: file.model_dump(exclude_none=True) for name, file in documents.items()})

    def challenge_digest(self, w: Wildcards) -> list[str]:
        """Digest of each local file of a challenge."""
        documents = self.study(w.study).submission.documents.values()
        return local_digests(Path(file.path) for file in documents if file.path is not None)

    def challenge_cropping(self, w: Wildcards) -> str:
        """JSON of the options that decide how its documents are cropped."""
        return canonical_json(self.task(w.study).layout.crop_options(self.task_config(w.study).data))

    def challenge_prompt(self, w: Wildcards) -> str:
        """The prompt that they are asked with."""
        return self.task_config(w.study).prompt

    def submitted_records(self, w: Wildcards) -> str:
        """Records of the documents that are submitted: those of a challenge, or the test records of the task."""
        challenge = self.study(w.study).submission.documents
        return f"<results>/data/{w.study}/challenge.jsonl" if challenge else self.cropped(w)

    def submitted_predictions(self, w: Wildcards) -> str:
        """Predictions for the documents that are submitted."""
        challenge = self.study(w.study).submission.documents
        return f"<results>/{w.study}_{w.method}/{'challenge' if challenge else 'predictions'}"

    def team(self, w: Wildcards) -> str:
        """Name of the team that submits."""
        return self.study(w.study).submission.team


def local_digests(paths: Iterable[Path]) -> list[str]:
    """sha256 of each file that is there; of a folder, a digest of what can be told without reading it."""
    return [listing_digest(path) if path.is_dir() else sha256(path) for path in paths if path.exists()]


def listing_digest(directory: Path) -> str:
    """Digest of names, sizes and times of the files below a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return json_digest([(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files])

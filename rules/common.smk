"""Functions of the rules: the checked configuration, and inputs and parameters derived from the registries.

No rules here. Every parameter holds exactly the settings that its job uses, and a digest of the code that it runs,
so that a change re-runs what it concerns and nothing else.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from pipestill import experiments
from pipestill.config import check
from pipestill.config.shares import origin, with_shares
from pipestill.data.training_files import FORMATS
from pipestill.digests import canonical_json, code_digest, json_digest
from pipestill.errors import UserError
from pipestill.files import sha256
from pipestill.lock import hold
from pipestill.methods import METHODS, method_of
from pipestill.preflight import problems
from pipestill.tasks import TASKS

try:
    GIVEN = check(config)
except UserError as error:
    raise WorkflowError(str(error)) from None
CONFIG = with_shares(GIVEN)

if any(str(method) == "conda" for method in workflow.deployment_settings.deployment_method):
    shell.prefix(f"export PYTHONPATH={shlex.quote(str(ROOT))}; ")  # a rule's environment holds all but the project
else:
    # `python` is the one that runs Snakemake, whether its environment is activated or not.
    shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")
EXPERIMENTS = experiments.experiments(CONFIG)
ANNOTATED = "|".join(experiments.annotated(CONFIG)) or "-"
ANNOTATION_KEYS = experiments.annotation_keys(CONFIG)
CHECKPOINTS = sorted({name for study in CONFIG.studies.values() for name in study.checkpoints})
HELD = []  # locks of this process
GPU = int(CONFIG.hardware.device in ("cuda", "xpu"))  # GPUs that a job which runs a model asks for


wildcard_constraints:
    study="|".join(CONFIG.studies),
    task="|".join(CONFIG.tasks),
    model="|".join(CONFIG.models),
    method="|".join([*METHODS, *CHECKPOINTS, "teacher"]),
    checkpoint="|".join(CHECKPOINTS) or "-",
    shard=r"\d+",
    file="|".join(FORMATS),
    seed=r"\d+",


def start_run():
    """Before any job: nothing that the planned jobs need is missing, and no other run works in this directory."""
    planned = list(workflow.dag.needrun_jobs())
    missing = problems(
        CONFIG,
        ROOT,
        models=[job.wildcards.model for job in planned if job.rule.name == "base_model"],
        tasks=[job.wildcards.task for job in planned if job.rule.name == "download"],
        trainings=[
            (job.wildcards.study, getattr(job.wildcards, "method", "teacher"))
            for job in planned
            if job.rule.name in ("train", "train_teacher")
        ],
        checkpoints=[
            (job.wildcards.study, job.wildcards.checkpoint) for job in planned if job.rule.name == "checkpoint"
        ],
    )
    local = workflow.executor_plugin is None or workflow.executor_plugin.common_settings.local_exec
    asks_cuda = CONFIG.hardware.device == "cuda" and any(job.rule.name in ("train", "train_teacher") for job in planned)
    if local and asks_cuda and shutil.which("nvidia-smi") is None:
        missing.append(
            "hardware.device: `cuda` is asked for, but this machine has no NVIDIA driver; use `auto` or `cpu`"
        )
    if missing:
        raise WorkflowError("\n".join(missing))
    try:
        HELD.append(hold(Path(".snakemake") / "pipestill.lock", "another run"))
    except UserError as error:
        raise WorkflowError(str(error)) from None


def script(name):
    """Path of a workflow script, relative to the working directory."""
    return os.path.relpath(ROOT / "workflow_scripts" / f"{name}.py")


def task_of(wildcards):
    """Name of the task of a study."""
    return CONFIG.studies[wildcards.study].task


def data_source(wildcards):
    """JSON that says where a task's raw data come from, without the keys of other kinds of source."""
    task = CONFIG.tasks[wildcards.task]
    if task.source == "published":
        files = {name: file.model_dump(exclude_none=True) for name, file in task.files_of().items()}
        return canonical_json({"source": "files", "files": files})
    keys = {
        "synthetic": {"rows", "seed"},
        "file": {"path", "sha256"},
        "url": {"url", "sha256"},
        "files": {"files"},
    }[task.source]
    if not (TASKS[wildcards.task].ranks_labels or TASKS[wildcards.task].collection):
        keys |= {"test_sets", "test_rows"} if task.source == "synthetic" else {"test_sets"}
    return task.model_dump_json(include={"source", *keys})


def local_digest(wildcards):
    """Digest of each local data file of a task, so that an edited file is read again."""
    return local_digests(CONFIG.tasks[wildcards.task].local_files().values())


def local_digests(paths):
    """sha256 of each file that is there; of a folder, a digest of what can be told without reading it."""
    found = [Path(path) for path in paths if Path(path).exists()]
    return [listing_digest(path) if path.is_dir() else sha256(path) for path in found]


def listing_digest(directory):
    """Digest of names, sizes and times of the files of a directory."""
    files = sorted(path for path in Path(directory).rglob("*") if path.is_file())
    return json_digest([(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files])


def crop_tokenizer(wildcards):
    """Base model whose tokens are counted where documents are cropped."""
    task = getattr(wildcards, "task", None) or task_of(wildcards)
    tokenizer = CONFIG.tasks[task].crop.tokenizer
    return f"<results>/models/{tokenizer}" if tokenizer else []


def crop_options(wildcards, input):
    """Options that say how long inputs may be, and how prompts are made of them."""
    task = CONFIG.tasks[wildcards.task]
    if TASKS[wildcards.task].collection is None:
        return f"--max-chars {task.max_chars} --template {task.template}"
    return crop_documents_options(task, input)


def crop_documents_options(task, input):
    """Options that say how long documents may be."""
    tokenizer = f" --tokenizer {input.tokenizer}/tokenizer.json" if input.tokenizer else ""
    return f"--crop {shlex.quote(task.crop.model_dump_json())}{tokenizer}"


def challenge_files(wildcards):
    """JSON that says where the documents of a challenge come from."""
    documents = CONFIG.studies[wildcards.study].submission.documents
    return canonical_json({name: file.model_dump(exclude_none=True) for name, file in documents.items()})


def challenge_digest(wildcards):
    """Digest of each local file of a challenge."""
    documents = CONFIG.studies[wildcards.study].submission.documents.values()
    return local_digests(file.path for file in documents if file.path is not None)


def bertscore_file(wildcards):
    """BERTScores of an experiment, where its study names an encoder."""
    encoder = CONFIG.studies[wildcards.study].bertscore.encoder
    return f"<results>/{wildcards.study}_{wildcards.method}/bertscore.json" if encoder else []


def bertscore_encoder(wildcards):
    """Directory of the encoder that BERTScore compares texts by."""
    return f"<results>/models/{CONFIG.studies[wildcards.study].bertscore.encoder}"


def bertscore_options(wildcards):
    """Options that say how BERTScore is computed."""
    settings, task = CONFIG.studies[wildcards.study].bertscore, task_of(wildcards)
    baseline = f" --baseline {shlex.quote(settings.baseline)}" if settings.baseline else ""
    names = " ".join(CONFIG.tasks[task].test_sets_of(TASKS[task]))
    return f"--layer {settings.layer} --test-sets {names}{baseline}"


def submitted_records(wildcards):
    """Records of the documents that are submitted: those of a challenge, or the test records of the task."""
    if CONFIG.studies[wildcards.study].submission.documents:
        return f"<results>/data/{wildcards.study}/challenge.jsonl"
    return f"<results>/data/{task_of(wildcards)}/cropped.jsonl"


def submitted_predictions(wildcards):
    """Predictions for the documents that are submitted."""
    challenge = CONFIG.studies[wildcards.study].submission.documents
    return f"<results>/{wildcards.study}_{wildcards.method}/{'challenge' if challenge else 'predictions'}"


def download_code(wildcards):
    """Digest of the code of `download`; a task's own code makes its synthetic data alone."""
    synthetic = CONFIG.tasks[wildcards.task].source == "synthetic"
    return code_digest("download", *([f"pipestill.tasks.{wildcards.task}"] if synthetic else []))


def model_source(wildcards):
    """JSON that says where a base model comes from; shipped models are found from any working directory."""
    model = CONFIG.models[wildcards.model]
    if directory := model.locate(ROOT):
        model = model.model_copy(update={"path": os.path.relpath(directory)})
    return model.model_dump_json()


def model_identity(wildcards):
    """Digest of a local base model's list of checksums, so that a changed model is taken again."""
    directory = CONFIG.models[wildcards.model].locate(ROOT)
    listing = directory / "SHA256SUMS" if directory else None
    return sha256(listing) if listing and listing.is_file() else None


def base_model(wildcards, method=None):
    """Directory of the base model of an experiment."""
    return f"<results>/models/{experiments.base_model(CONFIG, wildcards.study, method or wildcards.method)}"


def checkpoint_path(wildcards):
    """Directory of a checkpoint on disk."""
    return CONFIG.studies[wildcards.study].checkpoints[wildcards.checkpoint].path


def checkpoint_identity(wildcards):
    """Digest of names, sizes and times of a checkpoint's files, so that a changed checkpoint is taken again."""
    files = sorted(path for path in Path(checkpoint_path(wildcards)).glob("*") if path.is_file())
    return json_digest([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])


def teacher_directory(wildcards):
    """Where what belongs to a study's teacher lies; a study at a share of its rows has the teacher of the whole one."""
    return f"<results>/teachers/{origin(wildcards.study)}"


def teacher_outputs(wildcards):
    """The teacher's outputs, for the training files that are made of them."""
    return (
        f"{teacher_directory(wildcards)}/outputs.jsonl"
        if experiments.asks_teacher(CONFIG, wildcards.study, wildcards.file)
        else []
    )


def rationales(wildcards):
    """What the annotation answered, for the training files that are made of it."""
    return f"<results>/data/{task_of(wildcards)}/rationales.jsonl" if asks_rationales(wildcards) else []


def rationale_tokenizer(wildcards):
    """Base model whose tokens are counted where rationales are cropped."""
    return crop_tokenizer(wildcards) if asks_rationales(wildcards) else []


def asks_rationales(wildcards):
    """Whether a training file is made of rationales."""
    return wildcards.file == "stepwise" and CONFIG.tasks[task_of(wildcards)].annotation is not None


def rationale_options(wildcards, input):
    """Options that say where rationales are, how many may be missing, and how long they may be."""
    if not input.rationales:
        return ""
    task = CONFIG.tasks[task_of(wildcards)]
    names = f"--rationales {input.rationales} --allow-missing {task.annotation.allow_missing}"
    return f"{names} {crop_documents_options(task, input)}"


def rows(wildcards):
    """Options that limit the rows of a training file, of each class in tasks that have classes."""
    cap = experiments.training_rows(CONFIG, wildcards.study, wildcards.file)
    share = experiments.training_share(CONFIG, wildcards.study, wildcards.file)
    options = [*([f"--rows {cap}"] if cap else []), *([f"--share {share}"] if share < 1 else [])]
    return " ".join(options)


def training_data(wildcards):
    """Training file of an experiment."""
    return f"<results>/data/{wildcards.study}/{method_of(wildcards.method).training_file}.jsonl"


def validation_data(wildcards):
    """Validation rows in the schema of the training file."""
    return f"<results>/data/{wildcards.study}/validation/{method_of(wildcards.method).training_file}.jsonl"


def teacher_model(wildcards):
    """Model directory of a study's teacher; none where it is taken as it is."""
    trained = experiments.entry_of(CONFIG, wildcards.study, "teacher").trains
    return f"{teacher_directory(wildcards)}/model" if trained else []


def teacher_option(wildcards, input):
    """Option that names the teacher's fine-tuned model."""
    return f"--teacher {input.teacher}" if input.teacher else ""


def online_teacher(wildcards):
    """Base model and fine-tuned model of a teacher that runs beside the student; nothing for other methods."""
    if wildcards.method not in experiments.divergences(CONFIG, wildcards.study, "online"):
        return []
    return [base_model(wildcards, "teacher"), *([model] if (model := teacher_model(wildcards)) else [])]


def cached_teacher(wildcards):
    """The teacher's distributions, for a method that reads them."""
    cached = wildcards.method in experiments.divergences(CONFIG, wildcards.study, "cached")
    return distributions(wildcards) if cached else []


def training_teacher(wildcards, input):
    """Options that name the teacher of a training job."""
    if input.distributions:
        return f"--distributions {input.distributions[0]}"
    names = ("--teacher-base", "--teacher")
    return " ".join(f"{name} {path}" for name, path in zip(names, input.teacher))


def distributions(wildcards):
    """Manifest and shards of a study's teacher distributions, if any of its methods reads them."""
    if not experiments.divergences(CONFIG, wildcards.study, "cached"):
        return []
    directory = f"{teacher_directory(wildcards)}/distributions"
    return [f"{directory}/manifest.json", *shards(wildcards)]


def shards(wildcards):
    """Files of the shards of a study's teacher distributions."""
    directory = f"{teacher_directory(wildcards)}/distributions"
    count = CONFIG.studies[wildcards.study].distributions.shards
    return [f"{directory}/shard_{shard}.safetensors" for shard in range(count)]


def distribution_settings(wildcards):
    """JSON of the settings of a job that captures teacher distributions."""
    code = code_digest("teacher_distributions_shard")
    return canonical_json(experiments.distribution_settings(CONFIG, wildcards.study, code))


def agreement_data(wildcards):
    """Validation answers on which students are compared with the teacher's distributions, if there are any."""
    return f"<results>/data/{wildcards.study}/validation/sft.jsonl" if distributions(wildcards) else []


def fidelity_files():
    """Facts about the caches of all studies that have one."""
    return [
        f"<results>/teachers/{study}/fidelity.json"
        for study in experiments.studies(CONFIG)
        if experiments.divergences(CONFIG, study, "cached")
    ]


def learning_curve_files(name):
    """Function that gives one file of each experiment that a learning curve is drawn through."""

    def files(wildcards):
        points = experiments.learning_curve(CONFIG, wildcards.study)
        return [f"<results>/{study}_{method}/{name}" for study, method in points]

    return files


def start(wildcards):
    """Model directory that training starts from, where that is the SFT student."""
    if experiments.training(CONFIG, wildcards.study, wildcards.method).init == "sft":
        return f"<results>/{wildcards.study}_sft/seed_{wildcards.seed}/model"
    return []


def training_settings(wildcards):
    """JSON of the settings of a training job."""
    method = getattr(wildcards, "method", "teacher")
    return canonical_json(experiments.training_settings(CONFIG, wildcards.study, method))


def scoring_settings(wildcards):
    """JSON of the settings of the job in which a study's teacher answers."""
    code = code_digest("teacher_outputs", f"pipestill.tasks.{task_of(wildcards)}")
    return canonical_json(experiments.scoring_settings(CONFIG, wildcards.study, "teacher", code))


def prediction_settings(wildcards):
    """JSON of the settings of a prediction job."""
    code = code_digest("predict", f"pipestill.tasks.{task_of(wildcards)}")
    return canonical_json(experiments.prediction_settings(CONFIG, wildcards.study, wildcards.method, code))


def seeds(wildcards):
    """Seeds of the runs of an experiment."""
    return experiments.seeds(CONFIG, wildcards.study, wildcards.method)


def run_models(wildcards):
    """Model directories of the runs of an experiment; none for one of `models` as it is."""
    if wildcards.method == "teacher":
        return [model] if (model := teacher_model(wildcards)) else []
    if wildcards.method in CHECKPOINTS:
        if CONFIG.studies[wildcards.study].checkpoints[wildcards.method].model:
            return []
        return [f"<results>/{wildcards.study}_{wildcards.method}/model"]
    if not method_of(wildcards.method).trains:
        return []
    return [f"<results>/{wildcards.study}_{wildcards.method}/seed_{seed}/model" for seed in seeds(wildcards)]


def run_costs(wildcards):
    """Cost of the training jobs of the runs of an experiment."""
    if not experiments.entry_of(CONFIG, wildcards.study, wildcards.method).trains:
        return []
    return [str(Path(model).parent / "cost.json") for model in run_models(wildcards)]


def teacher_costs(wildcards):
    """Cost of the jobs in which the teacher made what the students of a method learn from."""
    directory, method = teacher_directory(wildcards), wildcards.method
    entry = experiments.entry_of(CONFIG, wildcards.study, method)
    outputs = entry.trains and experiments.asks_teacher(CONFIG, wildcards.study, entry.training_file)
    if not outputs and entry.objective != "divergence":
        return []
    trained = [f"{directory}/cost.json"] if teacher_model(wildcards) else []
    stored = shards(wildcards) if cached_teacher(wildcards) else []
    return [
        *trained,
        *([f"{directory}/outputs_cost.json"] if outputs else []),
        *[shard.replace(".safetensors", "_cost.json") for shard in stored],
    ]


def evaluated_data(wildcards):
    """Data files that an experiment's numbers come from."""
    files = [f"<results>/data/{task_of(wildcards)}/cropped.jsonl"]
    trained_on = experiments.entry_of(CONFIG, wildcards.study, wildcards.method).training_file
    return [*files, f"<results>/data/{wildcards.study}/{trained_on}.jsonl"] if trained_on else files


def experiment(wildcards):
    """JSON that says what an experiment is."""
    return canonical_json(experiments.experiment(CONFIG, wildcards.study, wildcards.method))


def annotation_settings(wildcards):
    """JSON of the settings of an annotation job."""
    return canonical_json(experiments.annotation_settings(CONFIG, wildcards.task))


def annotator_prompt(wildcards):
    """JSON of what decides the training rows of a local annotator."""
    return CONFIG.tasks[wildcards.task].annotation.model_dump_json(include={"provider", "model", "steps"})


def annotator_base(wildcards):
    """Base model of a task's local annotator."""
    return f"<results>/models/{CONFIG.tasks[wildcards.task].annotation.model}"


def annotator_settings(wildcards):
    """JSON of the settings of the training job of a local annotator."""
    return canonical_json(experiments.annotator_settings(CONFIG, wildcards.task))


def annotator(wildcards):
    """Model and base model of a task's local annotator; nothing for other providers."""
    if CONFIG.tasks[wildcards.task].annotation.provider != "local":
        return []
    return [f"<results>/annotators/{wildcards.task}/model", annotator_base(wildcards)]


def annotator_options(wildcards, input):
    """Options that name the local annotator."""
    if not input.local:
        return ""
    model, base = input.local
    return f"--model {model} --base {base} --device {CONFIG.hardware.device}"


def annotator_gpu(wildcards):
    """GPUs of an annotation job: those that serve a local annotator."""
    return GPU if CONFIG.tasks[wildcards.task].annotation.provider == "local" else 0

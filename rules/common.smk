"""The checked configuration, and the inputs and parameters that several files of rules derive from the registries.

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

from pipestill.plan import experiments
from pipestill.plan.check import check
from pipestill.plan.shares import origin, with_shares
from pipestill.data.training_files import FORMATS
from pipestill.io.digests import canonical_json, code_digest, json_digest
from pipestill.errors import UserError
from pipestill.io.files import sha256
from pipestill.io.lock import hold
from pipestill.methods import METHODS, method_of
from pipestill.plan.preflight import problems
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
MODELS = [name for name in (*METHODS, *CHECKPOINTS, "teacher") if method_of(name).model]  # methods that have one
EXTRACTS = [name for name, method in METHODS.items() if not method.model]
HELD = []  # locks of this process
# Priorities: the short jobs that wait for students are left for the end, where they keep every core busy.
BEFORE_STUDENTS, STUDENTS = 2, 1
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
        bertscores=sorted({job.wildcards.study for job in planned if job.rule.name == "bertscore"}),
        challenges=[job.wildcards.study for job in planned if job.rule.name == "challenge"],
        annotations=[job.wildcards.task for job in planned if job.rule.name == "annotate"],
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
        HELD.append(hold(Path(".snakemake") / "pipestill.io.lock", "another run"))
    except UserError as error:
        raise WorkflowError(str(error)) from None


def script(name):
    """Path of a workflow script, relative to the working directory."""
    return os.path.relpath(ROOT / "workflow_scripts" / f"{name}.py")


def task_of(wildcards):
    """Name of the task of a study."""
    return CONFIG.studies[wildcards.study].task


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


def crop_documents_options(task, input):
    """Options that say how long documents may be, and where their sentences end."""
    tokenizer = f" --tokenizer {input.tokenizer}/tokenizer.json" if input.tokenizer else ""
    return f"--crop {shlex.quote(task.crop.model_dump_json())}{tokenizer} --splitter {task.splitter}"


def splitter(wildcards):
    """What finds the sentences of a study's documents."""
    return CONFIG.tasks[task_of(wildcards)].splitter


def base_model(wildcards, method=None):
    """Directory of the base model of an experiment."""
    return f"<results>/models/{experiments.base_model(CONFIG, wildcards.study, method or wildcards.method)}"


def teacher_directory(wildcards):
    """Where what belongs to a study's teacher lies; a study at a share of its rows has the teacher of the whole one."""
    return f"<results>/teachers/{origin(wildcards.study)}"


def teacher_model(wildcards):
    """Model directory of a study's teacher; none where it is taken as it is."""
    trained = experiments.entry_of(CONFIG, wildcards.study, "teacher").trains
    return f"{teacher_directory(wildcards)}/model" if trained else []


def cached_teacher(wildcards):
    """The teacher's distributions, for a method that reads them."""
    cached = wildcards.method in experiments.divergences(CONFIG, wildcards.study, "cached")
    return distributions(wildcards) if cached else []


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


def training_settings(wildcards):
    """JSON of the settings of a training job."""
    method = getattr(wildcards, "method", "teacher")
    return canonical_json(experiments.training_settings(CONFIG, wildcards.study, method))


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


def experiment(wildcards):
    """JSON that says what an experiment is."""
    return canonical_json(experiments.experiment(CONFIG, wildcards.study, wildcards.method))

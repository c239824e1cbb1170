"""Before any job: nothing that the planned jobs need is missing, and no other run works in this directory."""

import shutil
from pathlib import Path
from typing import Any

from pipestill.io.lock import hold
from pipestill.io.times import future_times
from pipestill.methods import TEACHER_NAME
from pipestill.plan.engine_checks import engine_problems
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems
from pipestill.plan.shares import origin

ASKING = (
    "predict",
    "teacher_outputs",
    "unlabelled_outputs",
    "student_outputs",
    "context_outputs",
    "unlabelled_context_outputs",
)
LOCK = Path(".snakemake") / "pipestill.lock"
HELD: list[Any] = []  # locks of this process


def start_run(workflow: Any, plan: Plan) -> list[str]:
    """Sentences about what is missing; none where the run may start, which holds its lock from now on.

    Args:
        workflow: of Snakemake, with its DAG.
        plan: of the configuration.

    Raises:
        UserError: another run is at work.
    """
    planned = list(workflow.dag.needrun_jobs())

    def of(rule: str, *names: str) -> list[Any]:
        found = [job.wildcards for job in planned if job.rule.name == rule]
        return [
            tuple(getattr(each, name) for name in names) if names[1:] else getattr(each, names[0]) for each in found
        ]

    trainings = (
        of("train", "study", "method")
        + of("compress", "study", "method")
        + [(study, TEACHER_NAME) for study in of("train_teacher", "study")]
    )
    needs = Needs(
        models=of("base_model", "model"),
        tasks=of("download", "task"),
        trainings=trainings,
        predictions=of("predict", "study", "method"),
        checkpoints=of("checkpoint", "study", "checkpoint"),
        judged=sorted({*of("evaluate", "study"), *of("training_file", "study")}),
        bertscores=sorted(set(of("bertscore", "study"))),
        challenges=of("challenge", "study"),
        unlabelled=of("unlabelled", "study"),
        annotations=of("annotate", "task"),
        curves=of("learning_curve", "study"),
    )
    missing = problems(plan, needs)
    local = workflow.executor_plugin is None or workflow.executor_plugin.common_settings.local_exec
    asks_cuda = plan.config.hardware.device == "cuda" and trainings
    if local and asks_cuda and shutil.which("nvidia-smi") is None:
        missing.append(
            "hardware.device: `cuda` is asked for, but this machine has no NVIDIA driver; use `auto` or `cpu`"
        )
    if local:
        asked = {origin(study) for rule in ASKING for study in of(rule, "study")}
        missing += engine_problems(plan.config, sorted(asked), needs.annotations)
    made = {file for job in planned for file in job.output}
    missing += future_times(file for job in planned for file in job.input if file not in made)
    if not missing:
        HELD.append(hold(LOCK, "another run"))
        for job in planned:
            # Snakemake forgets why it planned a job that failed, and would call older results of it up to date. What
            # is marked as incomplete is planned again, until it is made.
            workflow.persistence.started(job)
    return missing

"""The checked configuration and the plan of it, whose methods are the input functions and parameters of all rules.

No rules here. Every parameter holds exactly the settings that its job uses, and a digest of the code that it runs,
so that a change re-runs what it concerns and nothing else.
"""

import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pipestill.errors import UserError
from pipestill.io.digests import FETCHING, code_digest
from pipestill.methods import METHODS, SFT, TEACHER_NAME
from pipestill.plan.check import check
from pipestill.plan.compress_checks import check_compressible
from pipestill.plan.data_checks import report_data
from pipestill.plan.paths import beside, file_of, folder, options, script, unrecorded
from pipestill.plan.plan import Plan, of_job
from pipestill.plan.rounds import PART
from pipestill.plan.start import start_run
from pipestill.warm import python_directory

try:
    CHECKED = check(config)
    check_compressible(CHECKED, ROOT)
    PLAN = Plan(CHECKED, ROOT)
    if workflow.is_main_process:
        report_data(PLAN.config)
except UserError as error:
    raise WorkflowError(str(error)) from None

# Scripts import this project, whatever is installed where they run.
PREFIX = f"export PYTHONPATH={shlex.quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
if not any(str(method) == "conda" for method in workflow.deployment_settings.deployment_method):
    # `python` is the one that runs Snakemake, whether its environment is activated or not.
    PREFIX += f"PATH={shlex.quote(str(python_directory()))}:$PATH; "
shell.prefix(PREFIX)
ANNOTATED = "|".join(PLAN.annotated) or "-"
EXTRACTIVE = [name for name, method in METHODS.items() if not method.model]
# Priorities: the short jobs that wait for students are left for the end, where they keep every core busy.
BEFORE_STUDENTS, STUDENTS = 2, 1


wildcard_constraints:
    study=rf"({'|'.join(PLAN.own_studies)})(@[a-z0-9.-]+)?",  # a derived one has a part behind the @
    task="|".join(PLAN.config.tasks),
    model="|".join(PLAN.config.models),
    method="|".join([*METHODS, *PLAN.compressed, *PLAN.checkpoints, TEACHER_NAME, *PLAN.variants]),
    checkpoint="|".join(PLAN.checkpoints) or "-",
    shard=r"\d+",
    store="|".join(PLAN.stores),
    file="|".join(PLAN.files),
    seed=r"\d+",
    part=PART,
    round=r"\d+",


def check_start():
    """Stop before any job where something is missing, or another run is at work."""
    try:
        missing = start_run(workflow, PLAN)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if missing:
        raise WorkflowError("\n".join(missing))

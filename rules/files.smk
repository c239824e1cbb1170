"""Configuration files, looked at before Snakemake reads config.yaml: a fault is named with its file and line.

No rules here. Of files on the command line, which Snakemake reads even earlier, these are faults that it does not see.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from pipestill.errors import UserError
from pipestill.plan.files import check_files

try:
    check_files([*workflow.configfiles, *filter(Path.exists, [Path("config.yaml")])])
except UserError as error:
    raise WorkflowError(str(error)) from None

"""What the process has ready that dry runs are forked from: more than half of one goes into imports and digests."""

import gc
from importlib import import_module

from pipestill.io import digests

gc.disable()
for module in ("snakemake.cli", "snakemake.report", "pipestill.plan.start"):
    import_module(module)
for folder in ("pipestill", "workflow_scripts"):
    for path in (digests.ROOT / folder).rglob("*.py"):
        digests._read(path)
gc.freeze()
gc.enable()

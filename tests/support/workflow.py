"""Dry runs of the workflow."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def plan(directory, *arguments, extra=(), config=ROOT / "config.yaml"):
    """Run ``snakemake -n`` in ``directory`` and return the process."""
    command = [
        *(
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            ROOT / "Snakefile",
            "--directory",
            directory,
            "--cores",
            "1",
        ),
        *("-n", *arguments, "--configfile", config, *extra),
    ]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=directory)


def jobs(process):
    """Jobs by rule, from the table that a dry run prints."""
    assert process.returncode == 0, process.stdout + process.stderr
    table = re.search(r"Job stats:\n(.*?)\n\n", process.stdout + process.stderr, re.S)[1]
    counts = {line.split()[0]: int(line.split()[1]) for line in table.splitlines()[2:]}
    counts.pop("total")
    return counts

"""Dry runs of the workflow."""

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["support.preloaded"])


@cache
def _start_server():
    """Start the process that dry runs are forked from; of this one's path it knows nothing."""
    with patch.dict(os.environ, PYTHONPATH=str(ROOT / "tests")):
        ensure_running()


def _snakemake(arguments, directory, environment, stdout, stderr):
    """Do in this process what ``snakemake ARGUMENTS`` does in ``directory``."""
    from snakemake.cli import main

    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY), descriptor)
    os.chdir(directory)
    sys.argv = ["snakemake", *arguments]
    main()


def plan(directory, *arguments, extra=(), config=ROOT / "config.yaml"):
    """Run ``snakemake -n`` in ``directory``, in a process of its own, and return the process."""
    options = ["--snakefile", ROOT / "Snakefile", "--directory", directory, "--cores", "1", "-n", *arguments]
    _start_server()
    options = [str(option) for option in [*options, "--configfile", config, *extra]]
    with tempfile.NamedTemporaryFile("r") as stdout, tempfile.NamedTemporaryFile("r") as stderr:
        process = FORKS.Process(
            target=_snakemake, args=(options, directory, dict(os.environ), stdout.name, stderr.name)
        )
        process.start()
        process.join()
        return subprocess.CompletedProcess(options, process.exitcode, stdout.read(), stderr.read())


def jobs(process):
    """Jobs by rule, from the table that a dry run prints."""
    assert process.returncode == 0, process.stdout + process.stderr
    table = re.search(r"Job stats:\n(.*?)\n\n", process.stdout + process.stderr, re.S)[1]
    counts = {line.split()[0]: int(line.split()[1]) for line in table.splitlines()[2:]}
    counts.pop("total")
    return counts

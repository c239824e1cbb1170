"""A cluster to submit to: the site's, or one that the tests start on this machine where Slurm is installed."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from support.slurm import DAEMONS, OneMachine, answers, jobs, partitions
from support.workflow import ROOT

PROFILE = ROOT / "profiles" / "slurm"
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]


def profile_partitions():
    """Partitions that the profile names."""
    settings = yaml.safe_load((PROFILE / "profile.yaml").read_text())
    named = [settings["default-resources"], *settings["set-resources"].values()]
    return {each["slurm_partition"] for each in named}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The tests' own cluster, as :class:`OneMachine`; none where a controller answers, which is the site's."""
    if not shutil.which("sbatch"):
        pytest.skip("needs Slurm: `sbatch` is not on the path (Debian: slurm-wlm and munge)")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("needs Snakemake's plugin: pip install -r profiles/slurm/requirements.txt")
    if answers():
        unknown = profile_partitions() - partitions()
        if unknown:
            pytest.skip(f"profiles/slurm names partitions that this cluster lacks: {', '.join(sorted(unknown))}")
        yield None
        return
    missing = [name for name in DAEMONS if not shutil.which(name)]
    if missing:
        pytest.skip(f"no controller answers, and to start one {', '.join(missing)} is missing on the path")
    machine = OneMachine(tmp_path_factory.mktemp("slurm"), profile_partitions())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in machine.environment().items():
            patch.setenv(name, value)
        try:
            machine.start()
            yield machine
        finally:
            machine.stop()


@pytest.fixture
def own_cluster(cluster):
    """The tests' own cluster, whose nodes they may take down and whose jobs run on this machine."""
    if cluster is None:
        pytest.skip("not on a cluster that others use: it takes a node down, or counts on processors of this machine")
    return cluster


class Submitted:
    """A run of the workflow on the cluster, with the smoke preset and a configuration of its own.

    Args:
        directory: where it works, on a file system that nodes share.
        targets: what it makes.
        options: further options of Snakemake.
    """

    def __init__(self, directory, *targets, options=()):
        self.directory = directory
        self.output = directory / "submitted.log"
        files = [ROOT / "config.yaml", ROOT / "resources" / "presets" / "smoke.yaml", directory / "my.yaml"]
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
        command += [
            "--workflow-profile",
            PROFILE,
            *QUICK,
            *options,
            *status_options(),
            *targets,
            "--configfile",
            *files,
        ]
        with open(self.output, "w") as log:
            self.process = subprocess.Popen(list(map(str, command)), cwd=directory, stdout=log, stderr=log)

    def said(self):
        return self.output.read_text()

    def finish(self, code=0):
        """Wait for its end; all its jobs as Slurm knows them."""
        assert self.process.wait(timeout=1800) == code, self.said()
        return self.jobs()

    def jobs(self, rule=""):
        """Its jobs so far, those of one rule."""
        run = re.search(r"SLURM run ID: (\S+)", self.said())
        return [job for job in (jobs(run[1]) if run else []) if job["Comment"].startswith(f"rule_{rule}")]


def status_options():
    """Where Slurm keeps no accounts, its queue says how jobs ended."""
    accounts = subprocess.run(["sacct", "--noheader", "-X"], capture_output=True)
    return ["--slurm-status-command", "squeue"] if accounts.returncode else []


@pytest.fixture(scope="session")
def submit(cluster):
    """A function that starts a run in a directory; what still runs at the end is stopped."""
    started = []

    def submit(directory, *targets, options=(), **config):
        (directory / "my.yaml").write_text(json.dumps(config))
        started.append(Submitted(directory, *targets, options=options))
        return started[-1]

    yield submit
    for run in started:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(timeout=60)

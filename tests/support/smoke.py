"""Running the workflow with the smoke preset."""

import subprocess
import sys

from support.workflow import ROOT


def command(directory, *arguments):
    """The command line that runs the workflow with the smoke preset in ``directory``."""
    presets = [ROOT / "config.yaml", ROOT / "resources" / "presets" / "smoke.yaml"]
    if (directory / "my.yaml").exists():
        presets.append(directory / "my.yaml")
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    return list(map(str, [*snakemake, "--cores", "2", *arguments, "--configfile", *presets]))


def snakemake(directory, *arguments, environment=None):
    """Run the workflow with the smoke preset in ``directory``; returns its output."""
    process = subprocess.run(
        command(directory, *arguments), capture_output=True, text=True, cwd=directory, env=environment
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr

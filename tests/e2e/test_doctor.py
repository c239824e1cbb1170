"""A finished run is whole and covered by digests; damage to it is found, and heals by the command that is said."""

import shlex
import shutil
import subprocess
import sys

from pipestill.doctor.examine import examine, unsealed
from support.kills import content
from support.smoke import snakemake


def doctor(directory, *options):
    command = [sys.executable, "-m", "pipestill.cli", "doctor", *options]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


def test_everything_that_a_run_leaves_is_covered_and_whole(run):
    assert examine(run / "results") == []
    assert unsealed(run / "results") == []


def test_damage_heals_by_the_command_that_the_doctor_says(run, own_run):
    results = own_run / "results"
    predictions = results / "creditmix_sft/predictions/seed_1/predictions.jsonl"
    outputs, figures = results / "teachers/creditmix/outputs.jsonl", results / "report/figures/creditmix"
    predictions.write_text("".join(predictions.read_text().splitlines(True)[:-4]))
    outputs.write_bytes(b"")
    shutil.rmtree(figures)
    found = doctor(own_run)
    assert found.returncode == 1 and found.stderr == ""
    for path in (predictions, outputs, figures):
        assert f"{path.relative_to(own_run)} is" in found.stdout
    mended = doctor(own_run, "--fix", "--yes")
    assert mended.returncode == 0 and not outputs.exists() and not predictions.exists()
    targets = shlex.split(mended.stdout.splitlines()[-1].partition(" all ")[2])
    assert targets == [
        *(
            "results/creditmix_sft/predictions",
            "results/report/figures/creditmix",
            "results/teachers/creditmix/outputs.jsonl",
        )
    ]
    snakemake(own_run, "all", *targets)
    for path in (predictions, outputs):
        assert content(path) == content(run / path.relative_to(own_run))
    assert doctor(own_run).returncode == 0

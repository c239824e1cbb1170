"""Dry runs: what is planned for each configuration, without running anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRESETS = sorted(path.stem for path in (ROOT / "resources" / "presets").glob("*.yaml"))


def plan(directory, *arguments, extra=()):
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
        *("-n", *arguments, "--configfile", ROOT / "config.yaml", *extra),
    ]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=directory)


def jobs(process):
    """Jobs by rule, from the table that a dry run prints."""
    assert process.returncode == 0, process.stdout + process.stderr
    table = re.search(r"Job stats:\n(.*?)\n\n", process.stdout + process.stderr, re.S)[1]
    counts = {line.split()[0]: int(line.split()[1]) for line in table.splitlines()[2:]}
    counts.pop("total")
    return counts


def test_the_default_plans_every_method_with_every_seed(tmp_path):
    assert jobs(plan(tmp_path, "all")) == {
        "all": 1,
        "balance": 4,
        "base_model": 2,
        "crop": 1,
        "download": 1,
        "evaluate": 5,
        "predict": 5,
        "records": 1,
        "report": 1,
        "resolved_config": 1,
        "teacher_outputs": 1,
        "train": 9,
        "train_teacher": 1,
    }


def test_one_experiment_plans_exactly_what_it_needs(tmp_path):
    counts = jobs(plan(tmp_path, "results/creditmix_dpo/eval.json"))
    assert counts == {
        "balance": 1,
        "base_model": 1,
        "crop": 1,
        "download": 1,
        "evaluate": 1,
        "predict": 1,
        "records": 1,
        "train": 3,
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_plan_without_a_network(tmp_path, preset):
    counts = jobs(plan(tmp_path, "all", extra=[ROOT / "resources" / "presets" / f"{preset}.yaml"]))
    assert counts["report"] == 1
    assert counts["train"] == (6 if preset == "smoke" else 9)


def test_a_study_without_a_teacher_trains_none(tmp_path):
    counts = jobs(plan(tmp_path, "all", extra=[ROOT / "resources" / "presets" / "paper.yaml"]))
    assert not {"train_teacher", "teacher_outputs"} & set(counts)
    assert counts["base_model"] == 1


def test_starting_from_the_sft_student_trains_it_first(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("studies: {creditmix: {overrides: {dpo: {init: sft}}}}\n")
    counts = jobs(plan(tmp_path, "results/creditmix_dpo/eval.json", extra=[overlay]))
    assert counts["train"] == 6


def test_a_study_may_have_seeds_of_its_own(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("studies: {creditmix: {seeds: [7]}}\n")
    process = plan(tmp_path, "results/creditmix_sft/eval.json", extra=[overlay])
    assert jobs(process)["train"] == 1
    assert "results/creditmix_sft/seed_7/model" in process.stdout + process.stderr


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ("training: {epoch: 1}", "config: unknown key `training.epoch`"),
        ("seeds: [1, 1]", "config: seeds: `1` is listed twice"),
        ("studies: {creditmix: {student: gpt}}", "config: studies.creditmix.student: `gpt` is not defined in models"),
    ],
)
def test_a_wrong_key_stops_a_dry_run_with_one_sentence(tmp_path, overlay, sentence):
    path = tmp_path / "my.yaml"
    path.write_text(overlay)
    process = plan(tmp_path, "all", extra=[path])
    assert process.returncode == 1
    assert sentence in process.stdout + process.stderr
    assert "Traceback" not in process.stdout + process.stderr


def test_nothing_is_written_by_a_dry_run(tmp_path):
    plan(tmp_path, "all")
    assert {path.name for path in tmp_path.iterdir()} <= {".snakemake"}


def test_the_workflow_is_clean():
    snakemake, snakefmt = (shutil.which(name, path=Path(sys.executable).parent) for name in ("snakemake", "snakefmt"))
    lint = subprocess.run([snakemake, "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout + lint.stderr
    rules = [str(path) for path in sorted((ROOT / "rules").glob("*.smk"))]
    form = subprocess.run([snakefmt, "--check", "Snakefile", *rules], cwd=ROOT, capture_output=True, text=True)
    assert form.returncode == 0, form.stdout + form.stderr

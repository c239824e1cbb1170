"""Dry runs: what is planned for each configuration, without running anything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.workflow import ROOT, jobs, plan

PRESETS = sorted(path.stem for path in (ROOT / "resources" / "presets").glob("*.yaml"))


def test_the_default_plans_every_method_with_every_seed(tmp_path):
    assert jobs(plan(tmp_path, "all")) == {
        "all": 1,
        "annotate": 1,
        "annotator_data": 1,
        "balance": 11,
        "base_model": 4,
        "crop": 3,
        "distribution_fidelity": 2,
        "download": 3,
        "evaluate": 25,
        "extract": 1,
        "predict": 24,
        "records": 3,
        "report": 1,
        "resolved_config": 1,
        "teacher_distributions": 2,
        "teacher_distributions_shard": 2,
        "teacher_outputs": 2,
        "train": 37,
        "train_annotator": 1,
        "train_teacher": 3,
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
def test_presets_plan_without_a_network_or_a_key(tmp_path, preset, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    counts = jobs(plan(tmp_path, "all", extra=[ROOT / "resources" / "presets" / f"{preset}.yaml"]))
    assert counts["report"] == 1
    assert counts["train"] == {"smoke": 6 + 5 + 2 + 4, "gpu-8gb": 9, "paper": 9 + 27 + 27 + 6}[preset]


def test_a_study_without_a_teacher_trains_none(tmp_path):
    counts = jobs(plan(tmp_path, "all", extra=[ROOT / "resources" / "presets" / "gpu-8gb.yaml"]))
    assert not {"train_teacher", "teacher_outputs"} & set(counts)
    assert counts["base_model"] == 1


@pytest.mark.parametrize("study", ["dolly-qwen2.5", "dolly-olmo2", "dolly-gemma3"])
def test_further_pairs_of_the_paper_preset_can_be_switched_on(tmp_path, study):
    overlay = tmp_path / "my.yaml"
    overlay.write_text(f"run: [{study}]\n")
    extra = [ROOT / "resources" / "presets" / "paper.yaml", overlay]
    counts = jobs(plan(tmp_path, f"results/{study}_todi/eval.json", extra=extra))
    assert (counts["train_teacher"], counts["train"]) == (1, 3)
    assert "teacher_distributions" not in counts  # as published, the teacher runs beside the student


def test_a_method_that_reads_distributions_waits_for_every_shard(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("studies: {dolly: {distributions: {shards: 3}}}\n")
    counts = jobs(plan(tmp_path, "results/dolly_todi/eval.json", extra=[overlay]))
    assert (counts["teacher_distributions_shard"], counts["teacher_distributions"]) == (3, 1)


def test_a_teacher_beside_the_student_stores_nothing(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("training: {divergence: {teacher: online}}\n")
    counts = jobs(plan(tmp_path, "results/dolly_todi/eval.json", extra=[overlay]))
    assert "teacher_distributions" not in counts
    assert counts["train_teacher"] == 1


def test_a_pretrained_teacher_is_not_trained(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["dolly"] |= {"pretrained_teacher": True, "overrides": {}}
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(config))
    targets = ("results/dolly_todi/eval.json", "results/dolly_teacher/eval.json")
    counts = jobs(plan(tmp_path, *targets, config=path))
    assert "train_teacher" not in counts
    assert (counts["teacher_distributions"], counts["predict"]) == (1, 2)


def test_a_checkpoint_on_disk_is_a_row_of_the_study(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text(
        f"studies: {{dolly: {{checkpoints: {{mine: {{path: {ROOT}/resources/models/demo-student}}}}}}}}\n"
    )
    counts = jobs(plan(tmp_path, "results/dolly_mine/eval.json", extra=[overlay]))
    assert (counts["checkpoint"], counts["predict"]) == (1, 1)
    assert "train" not in counts


def test_a_model_of_the_configuration_can_be_a_row_of_a_study(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("studies: {dolly: {checkpoints: {large: {model: demo-teacher}}}}\n")
    process = plan(tmp_path, "results/dolly_large/predictions", extra=[overlay])
    assert jobs(process)["predict"] == 1
    assert "results/models/demo-teacher" in process.stdout + process.stderr
    assert not {"train", "checkpoint"} & set(jobs(process))


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

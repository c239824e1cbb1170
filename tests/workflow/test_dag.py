"""Dry runs: what is planned for each configuration, without running anything."""

import itertools

import pytest
import yaml
from snakemake.utils import update_config

from pipestill.methods import METHODS
from support.workflow import ROOT, jobs, plan

PRESETS = sorted((ROOT / "resources" / "presets").glob("*.yaml"))


def configuration(*overlays):
    """The configuration that Snakemake makes of config.yaml and ``overlays``."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for path in overlays:
        update_config(config, yaml.safe_load(path.read_text()))
    return config


def stores_distributions(config, study):
    """Whether a method of the study learns from the teacher's distributions as they were stored."""
    for name in study["methods"]:
        sections = (study.get("overrides", {}).get(name, {}), study.get("training", {}), config["training"])
        teachers = [section["divergence"].get("teacher") for section in sections if "divergence" in section]
        if METHODS[name].teacher == "required" and next(filter(None, teachers)) == "cached":
            return True
    return False


def points_apart(config, study):
    """Points of the curve of in-context learning that are no experiments of the study itself."""
    if "icl" not in study["methods"]:
        return 0
    icl, own = study.get("icl", {}), study.get("prompt") or config["tasks"][study["task"]].get("prompt", "answer")
    points = itertools.product(icl.get("prompts") or [own], icl.get("curve", []))
    return sum(prompt != own or shots not in (0, icl["shots"]) for prompt, shots in points)


def rows_apart(study):
    """Points of the curves of rows that are no experiments of the study itself; each is trained."""
    asked = study.get("unlabelled", {})
    learners = sum(bool((own := METHODS[name].objective) and own.with_unlabelled) for name in study["methods"])
    of_sft = {*asked.get("sft_curve", [])} - {study.get("train_rows")}
    return len(of_sft) + learners * len({*asked.get("curve", [])} - {asked.get("rows")})


def learns_generated_answers(study):
    """True if context distillation learns what its teacher generates."""
    return study.get("overrides", {}).get("cd", {}).get("context", {}).get("answers") == "teacher"


def variant_rows(study):
    """Rows in which models of the study are asked in another way, where the methods are listed."""
    return sum(len(variant["methods"]) for variant in study.get("variants", {}).values())


@pytest.mark.parametrize("overlays", [(), *((path,) for path in PRESETS)], ids=["default", *(p.stem for p in PRESETS)])
def test_all_plans_every_method_with_every_seed_without_a_network_or_a_key(tmp_path, overlays, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    config = configuration(*overlays)
    studies = [config["studies"][name] for name in config["run"]]
    taught = [study for study in studies if study.get("teacher")]
    stored = [study for study in studies if stores_distributions(config, study)]
    told = [study for study in studies if "cd" in study["methods"]]
    generating = sum(learns_generated_answers(study) for study in told)
    points = sum(points_apart(config, study) + rows_apart(study) + variant_rows(study) for study in studies)
    methods = [(study, METHODS[name]) for study in studies for name in study["methods"]]
    compressed = [study for study in studies for row in (study.get("compress") or {}).values() if row]
    experiments = len(methods) + sum(len(study.get("checkpoints", {})) for study in studies) + len(taught)
    experiments += len(compressed)
    expected = {
        "train": sum(len(study.get("seeds", config["seeds"])) for study, method in methods if method.trains)
        + sum(len(study.get("seeds", config["seeds"])) * rows_apart(study) for study in studies),
        "compress": sum(len(study.get("seeds", config["seeds"])) for study in compressed),
        "model_sizes": sum(study in compressed for study in studies),
        "train_teacher": sum(not study.get("pretrained_teacher") for study in taught),
        "teacher_outputs": sum(method.teacher == "optional" for study, method in methods if study in taught),
        "teacher_distributions_shard": sum(study.get("distributions", {}).get("shards", 1) for study in stored + told),
        "context_accuracy": len(told) - generating,
        "context_outputs": generating,
        "distribution_fidelity": sum(study.get("distributions", {}).get("codec") != "labels" for study in stored),
        "predict": experiments + points - sum(not method.model for _, method in methods),
        "evaluate": experiments + points,
        "download": len({study["task"] for study in studies}),
        "annotate": len({study["task"] for study in studies if "stepwise" in study["methods"]}),
        "report": 1,
    }
    counts = jobs(plan(tmp_path, "all", extra=overlays))
    assert {rule: counts.get(rule, 0) for rule in expected} == expected
    assert counts["records"] == counts["prompts"] == counts["download"]


def test_one_experiment_plans_exactly_its_own_runs(tmp_path):
    counts = jobs(plan(tmp_path, "results/idp_sft/eval.json"))
    once = ("download", "records", "prompts", "training_file", "base_model", "predict", "evaluate")
    assert counts == {**dict.fromkeys(once, 1), "train": len(configuration()["seeds"])}


def test_pairs_of_its_own_mistakes_wait_for_the_first_student_of_sft(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("studies: {creditmix: {overrides: {dpo: {preference: {rejected: own}}}}}\n")
    counts = jobs(plan(tmp_path, "results/data/creditmix/dpo.jsonl", extra=[overlay]))
    assert (counts["train"], counts["student_outputs"], counts["training_file"]) == (1, 1, 2)
    assert "train_teacher" not in counts


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
    assert (counts["train_teacher"], counts["train"]) == (1, len(configuration(*extra)["studies"][study]["seeds"]))
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
    assert counts["train"] == 2 * len(configuration()["seeds"])


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

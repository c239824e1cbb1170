"""The smoke preset through the real DAG: everything, then nothing, then only what a change concerns."""

import json
import re
import subprocess
import sys
import zipfile

import pytest
import yaml

from pipestill.cli import main
from support.smoke import snakemake

EXPERIMENTS = [f"creditmix_{method}" for method in ("base", "sft", "vanilla", "bitfit", "kd", "dpo", "teacher")]


def executed(output):
    """Rules and wildcards of the jobs that ran."""
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", output, re.M)
    return {(rule, match[1] if (match := re.search(r"method=(\w+)", body)) else None) for rule, body in jobs}


@pytest.fixture
def predict(run, monkeypatch, capsys):
    """A function that does what ``pipestill predict`` does in the directory of a run; what it said and how it ended."""
    monkeypatch.chdir(run)

    def predict(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", "predict", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return predict


def test_every_stage_leaves_its_files(run):
    results = run / "results"
    for name in EXPERIMENTS:
        evaluation = json.loads((results / name / "eval.json").read_text())
        assert evaluation["source"] == "synthetic"
        assert evaluation["n_test"] == 30
        assert len(evaluation["seeds"]) == (1 if name.endswith(("base", "teacher")) else 2)
        low, high = evaluation["metrics"]["macro_f1"]["ci95"]
        assert 0 <= low <= evaluation["metrics"]["macro_f1"]["mean"] <= high <= 1
        for key in ("git_commit", "config_sha256", "data_sha256", "model_sha256", "versions", "hardware"):
            assert evaluation["provenance"][key], key
        assert (results / name / "README.md").read_text().startswith("#")
    for name in ("index.html", "summary.csv", "summary.md", "summary.tex", "comparisons.csv"):
        assert (results / "report" / name).stat().st_size > 0
    assert list((results / "report" / "figures").glob("*/*.svg"))
    assert yaml.safe_load((results / "config.yaml").read_text())["training"]["max_steps"] == 3


def test_the_report_needs_nothing_from_outside_and_says_that_data_are_synthetic(run):
    page = (run / "results" / "report" / "index.html").read_text()
    assert "synthetic" in page.lower()
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
    for name in EXPERIMENTS:
        method = name.removeprefix("creditmix_")
        assert f"{method}" in page


def test_splits_and_the_teachers_rows_are_kept_apart(run):
    data = run / "results" / "data" / "creditmix"
    split_of = {row["id"]: row["split"] for row in map(json.loads, (data / "cropped.jsonl").read_text().splitlines())}
    for file, split in (("teacher", "teacher"), ("sft", "train"), ("kd", "train"), ("dpo", "train")):
        rows = [json.loads(line) for line in (data / f"{file}.jsonl").read_text().splitlines()]
        assert rows
        assert {split_of[row["id"]] for row in rows} == {split}
    teacher = run / "results" / "teachers" / "creditmix"
    outputs = [(teacher / f"{name}.jsonl").read_text().splitlines() for name in ("outputs", "unlabelled_outputs")]
    said = {row["id"]: row["outputs"][0] for file in outputs for row in map(json.loads, file)}
    kd = [json.loads(line) for line in (data / "kd.jsonl").read_text().splitlines()]
    assert all(row["teacher_output"] == said[row["id"]] for row in kd)


def test_rationales_are_what_the_served_model_says(run):
    data = run / "results" / "data" / "multiclinsum"
    usage = json.loads((data / "usage.json").read_text())
    records = [json.loads(line) for line in (data / "cropped.jsonl").read_text().splitlines()]
    asked = {record["id"] for record in records if record["split"] in ("train", "validation")}
    said = [json.loads(line) for line in (data / "rationales.jsonl").read_text().splitlines()]
    assert {row["id"] for row in said} == asked
    assert usage["calls"]["ok"] == usage["calls"]["total"] == len(asked)
    ledger = (run / "annotations" / "multiclinsum" / "ledger.jsonl").read_text().splitlines()
    texts = {json.loads(line)["text"] for line in ledger}
    learned = (run / "results" / "data" / "multiclinsum" / "stepwise.jsonl").read_text().splitlines()
    rationales = {json.loads(line)["rationale"] for line in learned}
    gold = {record["rationale"] for record in records if "rationale" in record}
    assert rationales <= texts and not rationales & gold
    evaluation = json.loads((run / "results" / "multiclinsum_stepwise" / "eval.json").read_text())
    assert evaluation["cost"]["annotation"]


def test_encoder_decoders_learn_from_their_teacher(run):
    for method in ("base", "kd", "fkl", "stepwise", "teacher"):
        evaluation = json.loads((run / "results" / f"multiclinsum-t5_{method}" / "eval.json").read_text())
        assert evaluation["metrics"]["rouge_l"]["ci95"]
    assert (run / "results" / "teachers" / "multiclinsum-t5" / "distributions" / "manifest.json").is_file()


def test_summaries_have_bertscores(run):
    for method in ("base", "lead", "sft", "stepwise"):
        evaluation = json.loads((run / "results" / f"multiclinsum_{method}" / "eval.json").read_text())
        for name in ("bertscore", "bertscore_precision", "bertscore_recall"):
            assert -100 <= evaluation["metrics"][name]["mean"] <= 100
        signature = evaluation["signatures"]["bertscore"]["signature"]
        assert (signature["encoder"], signature["layer"]) == ("demo-bert-teacher", 4)


def test_documents_of_a_challenge_are_summarised_by_models_and_by_extracts(own_run):
    names = [f"multiclinsum_test_{number}_en" for number in (3, 20)]
    with zipfile.ZipFile(own_run / "test_en.zip", "w") as file:
        for name in names:
            report = (
                f"A woman was seen with fever ({name}). She had a cough for three weeks. She recovered after surgery."
            )
            file.writestr(f"multiclinsum_test_en/fulltext/{name}.txt", report)
    submission = {"team": "smoke", "documents": {"en": {"path": "test_en.zip"}}}
    (own_run / "my.yaml").write_text(yaml.safe_dump({"studies": {"multiclinsum": {"submission": submission}}}))
    targets = {method: f"results/multiclinsum_{method}/submission" for method in ("sft", "lead")}
    snakemake(own_run, *targets.values())
    for target in targets.values():
        files = {path.relative_to(own_run / target).as_posix(): path for path in (own_run / target).rglob("*.txt")}
        assert sorted(files) == sorted(f"smoke_multiclinsum_en_run_1/{name}_sum.txt" for name in names)
    for name in names:
        extract = own_run / targets["lead"] / "smoke_multiclinsum_en_run_1" / f"{name}_sum.txt"
        assert extract.read_text().startswith(f"A woman was seen with fever ({name}).")


@pytest.mark.parametrize("method", ["sft", "vanilla"])
def test_predicting_by_hand_agrees_with_the_pipeline(run, predict, method):
    experiment = f"creditmix_{method}"
    lines = (run / "results" / experiment / "predictions" / "seed_2" / "predictions.jsonl").read_text()
    expected = next(row for row in map(json.loads, lines.splitlines()) if row["split"] == "test")
    records = map(json.loads, (run / "results/data/creditmix/cropped.jsonl").read_text().splitlines())
    text = next(row["inputs"]["features"] for row in records if row["id"] == expected["id"])
    for target in ([experiment, "--seed", "2"], [f"results/{experiment}/seed_2/model"]):
        answer = json.loads(predict(*target, "--features", text, "--json").stdout)
        assert answer["raw_scores"] == pytest.approx(expected["raw_scores"], abs=1e-5)
        assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
        assert (answer["prediction"], answer["seed"]) == (expected["prediction"], 2)
    for name in ("creditmix_base", "creditmix_teacher", "results/models/demo-student"):
        assert predict(name, "--features", text).stdout.split()[0] in ("Good", "Standard", "Bad")


def test_predicting_by_hand_refuses_what_it_cannot_answer(predict):
    known = "there are: codegen_base, codegen_dpo, "
    for arguments, sentence in (
        (["creditmix_magic", "--features", "Age: 1"], known),
        (["creditmix_sft", "--features", " "], "the input text is empty"),
        (["creditmix_sft", "--features", "Age: 1", "--seed", "9"], "has no run with seed 9; there are: 1, 2"),
        (
            ["results/models/demo-student", "--features", "Age: 1", "--calibration", "batch"],
            "was fitted in no experiment",
        ),
    ):
        process = predict(*arguments)
        assert process.returncode == 1
        assert sentence in process.stderr
        assert process.stderr.count("\n") == 1
    assert "its end was not read" in predict("creditmix_sft", "--features", "Age: 1, " * 99).stderr


def test_a_second_run_does_nothing_and_a_changed_beta_re_runs_dpo_alone(own_run):
    assert "Nothing to be done" in snakemake(own_run, "all")
    (own_run / "my.yaml").write_text("training: {preference: {beta: 0.2}}\n")
    assert executed(snakemake(own_run, "all")) == {
        ("train", "dpo"),
        ("predict", "dpo"),
        ("evaluate", "dpo"),
        ("resolved_config", None),
        ("report", None),
        ("all", None),
    }


def test_the_workflows_own_report_is_made_offline(own_run):
    snakemake(own_run, "--report", "report.html")
    page = (own_run / "report.html").read_text()
    assert "Figures" in page
    assert "Tables" in page

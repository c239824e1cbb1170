"""Tasks of documents in the workflow: what is planned for cropping, BERTScore and a submission."""

import re

import yaml

from support.workflow import jobs, plan

STUDY = {"task": "multiclinsum", "student": "demo-student", "methods": ["base"]}


def overlay(tmp_path, crop=None, splitter="sentencex", **study):
    data = {"rows": 200, "splits": {"test_frac": 0.19, "val_frac": 0.05}, "crop": crop or {}}
    task = {"data": data, "splitter": splitter}
    path = tmp_path / "documents.yaml"
    path.write_text(yaml.safe_dump({"tasks": {"multiclinsum": task}, "studies": {"multiclinsum": {**STUDY, **study}}}))
    return [path]


EXPERIMENT = {"base_model": 1, "prompts": 1, "download": 1, "evaluate": 1, "predict": 1, "records": 1}


def test_an_experiment_and_a_submission_of_its_test_documents(tmp_path):
    targets = ["results/multiclinsum_base/eval.json", "results/multiclinsum_base/submission"]
    assert jobs(plan(tmp_path, *targets, extra=overlay(tmp_path))) == {**EXPERIMENT, "submission": 1}


def test_tokens_are_counted_by_one_model_and_bertscore_is_computed_by_another(tmp_path):
    crop = {"unit": "tokens", "tokenizer": "demo-teacher", "text": 100}
    named = overlay(tmp_path, crop, answers={"bertscore": {"encoder": "demo-bert-teacher", "layer": 2}})
    counts = jobs(plan(tmp_path, "results/multiclinsum_base/eval.json", extra=named))
    assert counts == {**EXPERIMENT, "base_model": 3, "bertscore": 1}


def test_bertscore_is_computed_on_the_device_of_the_study(tmp_path):
    answers = {"bertscore": {"encoder": "demo-bert-teacher", "layer": 2}}
    named = overlay(tmp_path, answers=answers, hardware={"device": "cuda"})
    hardware = tmp_path / "hardware.yaml"
    for device, gpus in (("cuda", 1), ("cpu", 0)):
        hardware.write_text(f"hardware: {{device: {device}}}\n")
        process = plan(tmp_path, "results/multiclinsum_base/bertscore.json", "-p", extra=[*named, hardware])
        (job,) = re.findall(r"^rule bertscore:\n(.*?)\n\n", process.stdout + process.stderr, re.M | re.S)
        assert f"gpu={gpus}" in job
        assert re.search(r"bertscore\.py .*--device cuda", process.stdout + process.stderr)


def test_a_submission_to_a_challenge_needs_no_documents_of_the_task(tmp_path):
    official = overlay(tmp_path, submission={"documents": {"en": {"url": "https://example.org/test_en.zip"}}})
    counts = jobs(plan(tmp_path, "results/multiclinsum_base/submission", extra=official))
    assert counts == {"base_model": 1, "challenge": 1, "predict_challenge": 1, "submission": 1}


def test_extracts_of_a_challenge_read_the_task_as_well(tmp_path):
    challenge = {"documents": {"en": {"url": "https://example.org/test_en.zip"}}}
    by_chars = {"unit": "chars", "tokenizer": None}
    official = overlay(tmp_path, by_chars, methods=["base", "lead"], submission=challenge)
    counts = jobs(plan(tmp_path, "results/multiclinsum_lead/submission", extra=official))
    made = ("challenge", "prompts", "download", "extract_challenge", "records", "submission")
    assert counts == dict.fromkeys(made, 1)


def test_extracts_need_no_model(tmp_path):
    by_chars = {"unit": "chars", "tokenizer": None}  # a tokenizer would be that of a model
    extra = overlay(tmp_path, by_chars, methods=["base", "lead", "textrank"])
    counts = jobs(plan(tmp_path, "results/multiclinsum_textrank/eval.json", extra=extra))
    assert counts == {"prompts": 1, "download": 1, "evaluate": 1, "extractive_summaries": 1, "records": 1}
    process = plan(tmp_path, "results/multiclinsum_lead/seed_0/model", extra=extra)
    assert "MissingRuleException" in process.stdout + process.stderr


def test_one_splitter_finds_the_sentences_of_all_jobs(tmp_path):
    challenge = {"documents": {"en": {"url": "https://example.org/test_en.zip"}}}
    extra = overlay(tmp_path, splitter="punkt", methods=["lead", "stepwise"], submission=challenge)
    targets = ("lead/eval.json", "lead/submission", "stepwise/seed_1/model")
    process = plan(tmp_path, *(f"results/multiclinsum_{target}" for target in targets), "-p", extra=extra)
    commands = re.findall(r"(\w+)\.py (.*)", process.stdout + process.stderr)
    assert {script for script, options in commands if "--splitter punkt" in options} == {
        *("challenge", "extractive_summaries", "prompts")
    }
    (evaluated,) = (options for script, options in commands if script == "evaluate")
    assert '"splitter":"punkt"' in evaluated
    assert "sentencex" not in process.stdout + process.stderr


def test_the_job_that_annotates_says_that_documents_are_synthetic(tmp_path):
    steps = [{"prompt": "Extract: {document}", "out": "rationale"}]
    endpoint = {"provider": "endpoint", "base_url": "http://127.0.0.1:9/v1", "model": "writer", "steps": steps}
    for source, said in (
        ({"source": "synthetic"}, True),
        ({"source": "files", "files": {"a": {"path": "a.csv"}}}, False),
    ):
        task = {"data": {"splits": {"test_frac": 0.19, "val_frac": 0.05}, **source}, "annotation": endpoint}
        path = tmp_path / "annotated.yaml"
        path.write_text(yaml.safe_dump({"tasks": {"multiclinsum": task}}))
        process = plan(tmp_path, "results/data/multiclinsum/rationales.jsonl", "-p", extra=[path])
        assert ("--synthetic" in process.stdout + process.stderr) == said, process.stderr

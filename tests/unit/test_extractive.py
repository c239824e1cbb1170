"""Baselines without a model."""

import subprocess
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest

from pipestill.errors import UserError
from pipestill.evaluation.cost import read_cost
from pipestill.inference.extractive import RANKINGS, choose_count, extract, extract_rows, lead, page_rank, text_rank
from pipestill.inference.target import find_target
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.methods import METHODS

TEXT = "El Dr. Pérez vio al niño con fiebre. Llovía. El niño con fiebre y tos mejoró. Tos y fiebre del niño cedieron."


def spanish(text):
    return Record("1", "test", {"document": text}, "", [], "es")


def test_lead_takes_the_first_sentences():
    assert extract(spanish(TEXT), lead, 1) == "El Dr. Pérez vio al niño con fiebre."
    assert extract(spanish(TEXT), lead, 2) == "El Dr. Pérez vio al niño con fiebre. Llovía."
    assert extract(spanish(TEXT), lead, 99) == TEXT
    assert extract(spanish(""), lead, 3) == extract(spanish(""), text_rank, 3) == ""


def test_central_sentences_come_first_and_in_their_order():
    sentences = extract(spanish(TEXT), text_rank, 3)
    assert "Llovía." not in sentences
    assert sentences.index("Dr.") < sentences.index("mejoró") < sentences.index("cedieron")
    assert text_rank(["a b", "c d"]) == [0, 1]
    assert text_rank(["a", "a", "b"]) == [0, 1, 2]  # one word each: no logarithm to divide by


def test_ranks_are_those_of_networkx():
    rng = np.random.default_rng(0)
    for nodes in (1, 2, 7, 20):
        weights = np.triu(rng.random((nodes, nodes)) * (rng.random((nodes, nodes)) < 0.3), 1)
        weights += weights.T
        expected = networkx.pagerank(networkx.from_numpy_array(weights), alpha=0.85, tol=1e-12)
        assert page_rank(weights) == pytest.approx([expected[node] for node in range(nodes)], abs=1e-8)


REPORT = "The boy had fever. The fever was high. The boy had a cough. He improved."


def record(split, number, summary, text=REPORT):
    return Record(f"{split}{number}", split, {"document": text}, summary, [summary], "en")


def test_the_number_of_sentences_is_chosen_on_validation_rows():
    records = [record("validation", 0, "The boy had fever. The fever was high."), record("test", 0, "He improved.")]
    assert choose_count(records, lead) == 2
    rows, count = extract_rows(records, records, "lead")
    assert count == 2
    assert [row.row() for row in rows] == [
        {
            "id": "test0",
            "split": "test",
            "test_set": "en",
            "sampling_seed": None,
            "prediction": "The boy had fever. The fever was high.",
            "references": ["He improved."],
        }
    ]
    with pytest.raises(UserError, match="no validation rows"):
        extract_rows(records[1:], records, "textrank")
    assert set(RANKINGS) == {"lead", "textrank"}


def test_the_number_is_chosen_by_words_as_they_stand_as_reports_count_them():
    text = "The boy had fever. Treating improves."
    row = record("validation", 0, "The boy had fever treated improved", text)
    assert choose_count([row], lead) == 1  # 2 with stems


def test_documents_of_a_challenge_are_summarised_by_a_number_chosen_on_the_task():
    task = [record("validation", 0, "The boy had fever. The fever was high."), record("test", 0, "He improved.")]
    rows, count = extract_rows(task, [record("test", 7, "")], "lead")
    assert count == 2
    assert [(row.id, row.prediction) for row in rows] == [("test7", "The boy had fever. The fever was high.")]


def test_predictions_are_laid_out_as_those_of_models_and_need_no_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise RuntimeError('extracts import torch')")
    records = [record("validation", 0, "The boy had fever."), record("test", 0, "He improved."), record("train", 0, "")]
    write_jsonl(tmp_path / "cropped.jsonl", records)
    script = Path(__file__).parents[2] / "workflow_scripts" / "extractive_summaries.py"
    options = ["--ranking", "lead", "--records", "cropped.jsonl", "--seed", "0", "--output", "lead/predictions"]
    process = subprocess.run(
        [sys.executable, str(script), *options],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{script.parents[1]}"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "lead: 1 of the sentences, the best number on validation rows"
    predictions = tmp_path / "lead/predictions"
    [row] = read_jsonl(predictions / "seed_0/predictions.jsonl")
    assert row["prediction"] == "The boy had fever."
    assert read_json(predictions / "job.json") == {"method": "lead", "sentences": 1}
    assert "python" in read_json(predictions / "versions.json")
    assert read_cost(predictions / "cost.json").gpu_memory_mb is None
    with pytest.raises(UserError, match="`lead` has no model, its answers are sentences of the documents"):
        find_target("lead", tmp_path, "multiclinsum")


def test_every_method_without_a_model_has_a_ranking():
    assert {method.extract for method in METHODS.values() if not method.model} == set(RANKINGS)

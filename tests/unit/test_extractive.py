"""Baselines without a model."""

import networkx
import numpy as np
import pytest

from pipestill.errors import UserError
from pipestill.inference.extractive import RANKINGS, choose_count, extract, extract_rows, lead, page_rank, text_rank

TEXT = "El Dr. Pérez vio al niño con fiebre. Llovía. El niño con fiebre y tos mejoró. Tos y fiebre del niño cedieron."


def test_lead_takes_the_first_sentences():
    assert extract(TEXT, "es", lead, 1) == "El Dr. Pérez vio al niño con fiebre."
    assert extract(TEXT, "es", lead, 2) == "El Dr. Pérez vio al niño con fiebre. Llovía."
    assert extract(TEXT, "es", lead, 99) == TEXT
    assert extract("", "es", lead, 3) == extract("", "es", text_rank, 3) == ""


def test_central_sentences_come_first_and_in_their_order():
    sentences = extract(TEXT, "es", text_rank, 3)
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


def record(split, number, summary):
    text = "The boy had fever. The fever was high. The boy had a cough. He improved."
    fields = {"id": f"{split}{number}", "split": split, "text": text, "test_set": "en"}
    return {**fields, "references": [summary]}


def test_the_number_of_sentences_is_chosen_on_validation_rows():
    records = [record("validation", 0, "The boy had fever. The fever was high."), record("test", 0, "He improved.")]
    assert choose_count(records, lead) == 2
    rows, count = extract_rows(records, "lead")
    assert count == 2
    assert rows == [
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
        extract_rows(records[1:], "textrank")
    assert set(RANKINGS) == {"lead", "textrank"}

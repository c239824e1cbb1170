"""Cropping by characters and tokens: what is left is a prefix within the limit, and test references stay whole."""

from pathlib import Path

import pytest

from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.layouts.documents import CropConfig
from pipestill.tasks import TASKS
from pipestill.text.crop import character_ends, crop_document, token_ends
from support.layout_runs import prompted

TOKENIZER = Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json"
TASK = TASKS["multiclinsum"]
TEXT = "El Dr. Pérez vio al niño. Tenía fiebre de 38,5 grados y tos seca.\nSe trató con antibióticos. Mejoró."


def test_texts_end_where_the_boundary_says():
    def crop(limit, boundary):
        return crop_document(TEXT, limit, "es", boundary, character_ends, "sentencex")

    assert crop(None, "sentence") == crop(len(TEXT), "none") == TEXT
    assert crop(45, "none") == TEXT[:45] == "El Dr. Pérez vio al niño. Tenía fiebre de 38,"
    assert crop(45, "word") == "El Dr. Pérez vio al niño. Tenía fiebre de"
    assert crop(45, "sentence") == crop(25, "sentence") == "El Dr. Pérez vio al niño."
    assert crop(24, "sentence") == "El Dr. Pérez vio al"  # not even one sentence fits
    assert crop(95, "sentence").endswith("Se trató con antibióticos.")
    assert "\n" in crop(95, "sentence")


@pytest.mark.parametrize("boundary", ["none", "word", "sentence"])
def test_no_more_tokens_are_left_than_allowed(boundary):
    ends = token_ends(TOKENIZER)
    for row in TASK.synthetic(40, 5)[0]:
        for limit in (1, 7, 33, 60):
            text = crop_document(row["input"], limit, row["language"], boundary, ends, "sentencex")
            assert row["input"].startswith(text)
            assert len(ends(text)) <= limit
    assert len(ends(crop_document("año " * 50, 20, "es", boundary, ends, "sentencex"))) > 10  # and no fewer than needed


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(UserError, match="crop by characters, or name a model with a tokenizer"):
        token_ends(tmp_path / "tokenizer.json")


def record(split, text=None, **changes):
    target = "Short summary. It ends here."
    fields = {"target": target, "references": [target], "test_set": "en", "rationale": "Key. Point.", **changes}
    return Record(f"{split} 1", split, {"document": text or f"Report of {split}. " * 9}, **fields)


def document(record):
    return record.inputs["document"]


def test_test_references_are_never_cropped():
    records = [record(split) for split in ("teacher", "train", "validation", "test")]
    cropped, counts = prompted(TASK, records, crop={"text": 60, "target": 20, "rationale": 5})
    for before, after in zip(records, cropped, strict=True):
        assert after.references == before.references
        assert len(document(after)) <= 60
        assert after.prompt == TASK.prompts["answer"].fill(after.inputs)
        whole = after.split == "test"
        assert (after.target == before.target, after.rationale == before.rationale) == (whole, whole)
    assert cropped[0].target == "Short summary."
    assert counts == {"document": 4, "target": 3, "rationale": 3}


def test_inputs_of_tests_can_be_left_whole():
    crop = {"text": 60, "test_texts": False}
    (train, test), _ = prompted(TASK, [record("train"), record("test")], crop=crop)
    assert len(document(train)) <= 60 < len(document(test)) == len(document(record("test")))


def test_the_published_cropping_cuts_characters():
    crop = {"boundary": "none", "text": 2560, "target": 512, "rationale": 512}
    (row, held_out), _ = prompted(
        TASK,
        [record(split, f"{split} " * 999, target="y" * 700, rationale="z" * 700) for split in ("train", "test")],
        crop=crop,
    )
    assert [len(text) for text in (document(row), row.target, row.rationale)] == [2560, 512, 512]
    assert (len(document(held_out)), len(held_out.target)) == (2560, 700)


def test_two_splits_may_not_come_to_share_a_text():
    records = [record("train", "Same beginning, one end."), record("test", "Same beginning, other end.")]
    with pytest.raises(UserError, match=r"have the same text after cropping to 15 chars; raise `crop\.text`"):
        prompted(TASK, records, crop={"text": 15})


def test_tokens_need_a_tokenizer():
    with pytest.raises(ValueError, match="`unit: tokens` needs `tokenizer`"):
        CropConfig(unit="tokens", text=3)
    with pytest.raises(ValueError, match="`unit: chars` has no use for it"):
        CropConfig(tokenizer="demo-student")

"""The prediction job of a task of documents, and predictions by hand that are asked in the very same words."""

import shutil
from pathlib import Path

import pytest
from pipestill.data.crop_documents import crop_documents
from pipestill.data.text_crop import character_ends, token_ends

from pipestill.errors import UserError
from pipestill.inference.by_hand import ask, predict_text
from pipestill.inference.experiment import predict_experiment
from pipestill.inference.target import find_target
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.settings.data import CropConfig
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS
from support.models import make_directory

TASK = TASKS["multiclinsum"]
CROPS = {
    "tokens": CropConfig(unit="tokens", tokenizer="counter", text=90),
    "chars": CropConfig(boundary="word", text=300),
    "whole": CropConfig(text=300, test_texts=False),
}
TEXTS = {
    "en": "Dr. A. Smith saw the boy on Jan. 5. He coughed. ",
    "es": "La Sra. Pérez vio al niño el 5 de ene. Tosía. ",
}


@pytest.fixture(scope="module")
def documents():
    """A short and a long one in each language."""
    fields = {"split": "test", "target": "Short.", "references": ["Short."]}
    return [
        {"id": f"{language}{copies}", "text": text + f"Case {copies}. " * copies, "test_set": language, **fields}
        for language, text in TEXTS.items()
        for copies in (1, 40)
    ]


@pytest.fixture(scope="module", params=CROPS)
def study(request, tmp_path_factory, documents):
    """Results with one experiment, and its cropped records."""
    crop, results = CROPS[request.param], tmp_path_factory.mktemp("results")
    base = make_directory(results / "models/base", initializer_range=0.3)
    counter = results / "models/counter"
    counter.mkdir()
    shutil.copy(Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json", counter)
    ends = token_ends(counter / "tokenizer.json") if crop.tokenizer else character_ends
    records = crop_documents([{**row, "text": row["text"].strip()} for row in documents], TASK, crop, ends)[0]
    write_jsonl(results / "cropped.jsonl", records)
    predict(results, base, crop, results / "cropped.jsonl", "predictions")
    return results, records


def predict(results, base, crop, records, name):
    settings = PredictionSettings(
        task="multiclinsum", code="1", null_inputs=None, calibration="none", max_chars=200, crop=crop, template="plain",
        generation=GenerationConfig(), max_prompt_tokens=600, max_new_tokens=4, adaptation="full",
        hardware={"device": "cpu"},
    )  # fmt: skip
    output = results / "multiclinsum_base" / name
    predict_experiment(settings, records, base, {0: None}, results / f"{name}.state", output, 1)
    return output / "seed_0"


def test_by_hand_a_document_is_asked_as_in_the_pipeline(study, documents):
    results, records = study
    target = find_target("multiclinsum_base", results, None, "creditmix", None, None)
    crops = target.settings.crop.test_texts
    for given, record in zip(documents, records, strict=True):
        asked = ask(target, given["text"].strip(), language=record["test_set"])
        assert asked == (record["prompt"], crops and len(given["text"]) > 400)
    answers = read_jsonl(results / "multiclinsum_base/predictions/seed_0/predictions.jsonl")
    found = predict_text(target, documents[-1]["text"], "", 1, "es")
    assert found["prediction"] == answers[-1]["prediction"]


def test_by_hand_a_document_has_a_language_and_no_instruction(study):
    target = find_target("multiclinsum_base", study[0], None, "creditmix", None, None)
    assert ask(target, TEXTS["en"]) == ask(target, TEXTS["en"], language="en")
    with pytest.raises(UserError, match="has no language `de`; it has en, es, fr, pt"):
        ask(target, "Text.", language="de")
    with pytest.raises(UserError, match="has an instruction of its own: leave --instruction out"):
        ask(target, "Text.", "Sum it up.")
    directory = find_target(str(study[0] / "models/base"), study[0], None, "creditmix", None, None)
    with pytest.raises(UserError, match="does not ask for a language"):
        ask(directory, "Age: 23.0", language="en")


def test_a_prompt_that_the_model_cannot_read_whole_is_said_to_be_cut(tmp_path, capsys):
    base = make_directory(tmp_path / "models/base", initializer_range=0.3)
    target = find_target(str(base), tmp_path, None, "multiclinsum", None, None)
    assert not predict_text(target, "Short.", "", 1)["cropped"]
    assert predict_text(target, TEXTS["en"] * 40, "", 1)["cropped"]


def test_likelihoods_are_of_references_alone(tmp_path):
    base = make_directory(tmp_path / "models/base", initializer_range=0.3)
    rows = [
        {"id": name, "split": "test", "prompt": f"Sum up {name}.", "test_set": "en", "target": text, "references": gold}
        for name, text, gold in (("a", "", []), ("b", "Short.", ["Short."]), ("c", "", []))
    ]
    write_jsonl(tmp_path / "some.jsonl", rows)
    write_jsonl(tmp_path / "none.jsonl", [rows[0], rows[2]])
    crop = CropConfig()
    run = predict(tmp_path, base, crop, tmp_path / "some.jsonl", "predictions")
    assert [row["id"] for row in read_jsonl(run / "likelihood.jsonl")] == ["b"]
    run = predict(tmp_path, base, crop, tmp_path / "none.jsonl", "challenge")
    assert [row["id"] for row in read_jsonl(run / "predictions.jsonl")] == ["a", "c"]
    assert not (run / "likelihood.jsonl").exists()

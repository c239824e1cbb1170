"""The prediction job of a task of documents, and predictions by hand that are asked in the very same words."""

import shutil
from pathlib import Path

import pytest

from pipestill.errors import UserError
from pipestill.inference.by_hand import Predictor
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.target import find_target
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.layouts.base import Cropping
from pipestill.layouts.documents import CropConfig, DocumentsData
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS
from pipestill.tasks.base import ANSWER
from pipestill.text.crop import unit_ends
from support.asking import asking_about
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
    return [
        Record(f"{language}{copies}", "test", {"document": report.strip()}, "Short.", ["Short."], language)
        for language, text in TEXTS.items()
        for copies, report in ((copies, text + f"Case {copies}. " * copies) for copies in (1, 40))
    ]


@pytest.fixture(scope="module", params=CROPS)
def study(request, tmp_path_factory, documents):
    """Results with one experiment, and its cropped records."""
    crop, results = CROPS[request.param], tmp_path_factory.mktemp("results")
    base = make_directory(results / "models/base", initializer_range=0.3)
    counter = results / "models/counter"
    counter.mkdir()
    shutil.copy(Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json", counter)
    ends = unit_ends(counter / "tokenizer.json" if crop.tokenizer else None)
    how = Cropping(TASK.prompts[ANSWER], ends)
    records = list(TASK.layout.crop_all(documents, DocumentsData(crop=crop), how))
    write_jsonl(results / "cropped.jsonl", records)
    predict(results, base, crop, results / "cropped.jsonl", "predictions")
    return results, records


def predict(results, base, crop, records, name):
    settings = PredictionSettings(
        asking=asking_about("multiclinsum", max_prompt_tokens=600, max_new_tokens=4),
        data=TASK.layout.crop_options(DocumentsData(crop=crop)),
        **dict(adaptation="full", hardware={"device": "cpu"}, code="1"),
    )
    output = results / "multiclinsum_base" / name
    predict_experiment(settings, Runs(base, {0: None}), records, results / f"{name}.state", output, 1)
    return output / "seed_0"


def test_by_hand_a_document_is_asked_as_in_the_pipeline(study, documents):
    results, records = study
    predictor = Predictor(find_target("multiclinsum_base", results, "creditmix"))
    crops = predictor.target.settings.data["crop"]["test_texts"]
    for given, record in zip(documents, records, strict=True):
        asked = predictor.ask(given.inputs, {"language": record.test_set})
        assert (asked.prompt, asked.cropped) == (record.prompt, crops and len(given.inputs["document"]) > 400)
    answers = read_jsonl(results / "multiclinsum_base/predictions/seed_0/predictions.jsonl")
    found = predictor.reply(documents[-1].inputs, {"language": "es"})
    assert found["prediction"] == answers[-1]["prediction"]


def test_by_hand_a_document_has_a_language_and_no_instruction(study):
    predictor = Predictor(find_target("multiclinsum_base", study[0], "creditmix"))
    document, text = {"document": TEXTS["en"]}, {"document": "Text."}
    assert predictor.ask(document, {}) == predictor.ask(document, {"language": "en"})
    with pytest.raises(UserError, match="there is no language `de`; there are en, es, fr, pt"):
        predictor.ask(text, {"language": "de"})
    with pytest.raises(UserError, match="task `multiclinsum` takes document, language: leave `instruction` out"):
        predictor.ask(text | {"instruction": "Sum it up."}, {})
    directory = Predictor(find_target(str(study[0] / "models/base"), study[0], "creditmix"))
    with pytest.raises(UserError, match="task `creditmix` takes features: leave `language` out"):
        directory.ask({"features": "Age: 23.0"}, {"language": "en"})


def test_a_prompt_that_the_model_cannot_read_whole_is_said_to_be_cut(tmp_path, capsys):
    base = make_directory(tmp_path / "models/base", initializer_range=0.3)
    predictor = Predictor(find_target(str(base), tmp_path, "multiclinsum"))
    assert not predictor.reply({"document": "Short."})["cropped"]
    assert predictor.reply({"document": TEXTS["en"] * 40})["cropped"]


def test_likelihoods_are_of_references_alone(tmp_path):
    base = make_directory(tmp_path / "models/base", initializer_range=0.3)
    rows = [
        Record(name, "test", {"document": name}, text, gold, "en", prompt=f"Sum up {name}.")
        for name, text, gold in (("a", "", []), ("b", "Short.", ["Short."]), ("c", "", []))
    ]
    rows.append(Record("d", "validation", {"document": "d"}, "Short.", ["Short."], "en", prompt="Sum up d."))
    write_jsonl(tmp_path / "some.jsonl", rows)
    write_jsonl(tmp_path / "none.jsonl", [rows[0], rows[2]])
    crop = CropConfig()
    run = predict(tmp_path, base, crop, tmp_path / "some.jsonl", "predictions")
    assert [row["id"] for row in read_jsonl(run / "likelihood.jsonl")] == ["b"]
    run = predict(tmp_path, base, crop, tmp_path / "none.jsonl", "challenge")
    assert [row["id"] for row in read_jsonl(run / "predictions.jsonl")] == ["a", "c"]
    assert not (run / "likelihood.jsonl").exists()

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipestill.answers.text import score
from pipestill.errors import UserError
from pipestill.inference.by_hand import Predictor
from pipestill.inference.extractive import extract_rows
from pipestill.inference.target import Target
from pipestill.io.records import Record, write_jsonl
from pipestill.layouts.base import Cropping
from pipestill.layouts.documents import CropConfig, DocumentsData
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS
from pipestill.tasks.base import ANSWER
from pipestill.text.sentences import _splitter, signature, split_sentences
from support.asking import asking_about

TASK = TASKS["multiclinsum"]
PUNKT = Cropping(TASK.prompts[ANSWER], splitter="punkt")


def test_abbreviations_and_numbers_end_no_sentence_and_newlines_do():
    text = "El Dr. Pérez vio a la Sra. López, p. ej. con 3,5 mg.\n- Asma\n\nMejoró. ¿Alta? Sí."
    assert split_sentences(text, "es") == [
        "El Dr. Pérez vio a la Sra. López, p. ej. con 3,5 mg.",
        "- Asma",
        "Mejoró.",
        "¿Alta?",
        "Sí.",
    ]
    assert split_sentences("A 3.5 cm mass (Fig. 2) was seen by Dr. Smith. He died!", "en") == [
        "A 3.5 cm mass (Fig. 2) was seen by Dr. Smith.",
        "He died!",
    ]
    assert split_sentences(" \n", "pt") == []


@pytest.fixture
def punkt(tmp_path, monkeypatch):
    """nltk's data as they lie after its download, with a model of Spanish that knows one abbreviation."""
    import nltk

    _splitter.cache_clear()
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    model = tmp_path / "tokenizers" / "punkt_tab" / "spanish"
    model.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "ortho_context.tab"):
        (model / name).write_text("")
    (model / "abbrev_types.txt").write_text("xyz\n")
    yield tmp_path
    _splitter.cache_clear()


def test_punkt_is_used_where_its_data_are(punkt):
    assert split_sentences("El xyz. Pérez vino. Mejoró.", "es", "punkt") == ["El xyz. Pérez vino.", "Mejoró."]
    assert split_sentences("El xyz. Pérez vino. Mejoró.", "es") == ["El xyz.", "Pérez vino.", "Mejoró."]
    with pytest.raises(UserError, match=r"punkt_tab are not on this machine: run .* or set `splitter: sentencex`"):
        split_sentences("a", "fr", "punkt")
    with pytest.raises(UserError, match="no model of the language `de`"):
        split_sentences("a", "de", "punkt")


def record(split, test_set="es"):
    text = "El xyz. Pérez vino. Mejoró."
    return Record(split, split, {"document": text}, "", ["El xyz. Pérez"], test_set)


def test_documents_are_cropped_extracted_and_scored_by_it(punkt, tmp_path):
    data = DocumentsData(crop=CropConfig(text=22, rationale=16))
    (row,) = TASK.layout.crop_all([record("train")], data, PUNKT)
    assert row.inputs == {"document": "El xyz. Pérez vino."}
    assert TASK.layout.crop_rationale("Mejoró. El xyz. Pérez vino.", row, data, PUNKT) == "Mejoró."
    settings = PredictionSettings(
        asking=asking_about("multiclinsum", max_prompt_tokens=9, max_new_tokens=9),
        **dict(data=TASK.layout.crop_options(data), splitter="punkt", adaptation="full", hardware={}, code="1"),
    )
    asked = Predictor(Target("name", settings, Path("base"))).ask(record("test").inputs, {"language": "es"})
    assert asked.prompt.endswith(":\nEl xyz. Pérez vino.")
    (row,), count = extract_rows([record("validation"), record("test")], [record("test")], "lead", "punkt")
    assert (row.prediction, count) == ("El xyz. Pérez vino.", 1)
    write_jsonl(tmp_path / "seed_0" / "predictions.jsonl", [row])
    for splitter in ("punkt", "sentencex"):
        experiment = SimpleNamespace(test_sets=["es"], splitter=splitter)
        (run,) = score.runs(TASK, experiment, tmp_path, {}).values()
        assert splitter in run.signatures["rouge"] and splitter in run.signatures["bleu_nltk"]


def test_missing_data_stop_cropping_even_where_nothing_is_cropped(punkt):
    with pytest.raises(UserError, match="punkt_tab are not on this machine"):
        next(TASK.layout.crop_all([record("train", "fr")], DocumentsData(), PUNKT))


def test_signatures_hold_versions():
    assert signature("sentencex").startswith("sentencex 1.")
    assert signature("punkt").startswith("punkt of nltk 3.")

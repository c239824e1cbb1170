import pytest

from pipestill.errors import UserError
from pipestill.sentences import _splitter, signature, split_sentences


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
    with pytest.raises(UserError, match=r"punkt_tab are not on this machine: run .* or use .* `sentencex`"):
        split_sentences("a", "fr", "punkt")
    with pytest.raises(UserError, match="no model of the language `de`"):
        split_sentences("a", "de", "punkt")


def test_signatures_hold_versions():
    assert signature("sentencex").startswith("sentencex 1.")
    assert signature("punkt").startswith("punkt of nltk 3.")

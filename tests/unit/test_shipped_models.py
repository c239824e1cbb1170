"""The base models in resources/models, as they are shipped."""

import json
import re
from pathlib import Path

import pytest

from pipestill.io.files import verify_sha256sums
from pipestill.pretraining.probes import mean_accuracy, probe
from pipestill.pretraining.recipe import RECIPES

SHIPPED = Path(__file__).parents[2] / "resources" / "models"
MODELS = tuple(f"demo-{kind}{role}" for kind in ("", "t5-", "bert-") for role in ("student", "teacher"))
COPIES = ("copy 32", "copy 128", "copy 256")
KNOWN = {"causal": ("json", "repeat", "dates", *COPIES), "seq2seq": ("json", *COPIES)}  # right in nine of ten tokens


@pytest.fixture(scope="module")
def probes() -> dict[str, dict[str, dict[str, float]]]:
    return {name: probe(SHIPPED / name, documents=15) for name in MODELS}


@pytest.mark.parametrize("name", ["tokenizer", *MODELS])
def test_checksums_hold(name):
    verify_sha256sums(SHIPPED / name)


def test_directories_are_complete_and_small():
    for name in MODELS:
        files = {path.name for path in (SHIPPED / name).iterdir()}
        assert files >= {"config.json", "model.safetensors", "tokenizer.json"}
        assert ("generation_config.json" in files) == (RECIPES[name].shape.kind != "masked")
        assert files >= {"tokenizer_config.json", "chat_template.jinja", "README.md", "training_log.jsonl"}
        assert (SHIPPED / name / "training_log.jsonl").stat().st_size < 100_000
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 30e6


@pytest.mark.parametrize("name", MODELS)
def test_log_and_card_tell_of_the_whole_run(name):
    log = [json.loads(line) for line in (SHIPPED / name / "training_log.jsonl").read_text().splitlines()]
    corpus = [entry for entry in log if entry["phase"] == "corpus"]
    assert [entry["step"] for entry in corpus] == sorted({entry["step"] for entry in corpus})
    assert corpus[-1]["step"] == RECIPES[name].steps
    assert f"tokens read | {corpus[-1]['tokens']:,}" in (SHIPPED / name / "README.md").read_text()


@pytest.mark.parametrize(("kind", "share"), [("", 0.9), ("t5-", 0.95), ("bert-", 0.95)])
def test_the_teacher_is_better_than_the_student(probes, kind, share):
    student, teacher = (probes[f"demo-{kind}{role}"] for role in ("student", "teacher"))
    assert mean_accuracy(teacher) > mean_accuracy(student)
    better = sum(teacher[name]["loss"] < student[name]["loss"] for name in student)
    assert better >= len(student) - 3  # of 15 or 16: by chance with a probability below 2 %
    mean_loss = [sum(result["loss"] for result in results.values()) for results in (student, teacher)]
    assert mean_loss[1] < share * mean_loss[0]


@pytest.mark.parametrize("name", MODELS)
def test_models_copy_and_answer_as_their_cards_say(probes, name):
    rows = re.findall(
        r"^\| ([\w ]+) \| ([\d.]+) \| [\d.]+ \| [\d,]+ \|$", (SHIPPED / name / "README.md").read_text(), re.M
    )
    card = {probe_name: float(accuracy) for probe_name, accuracy in rows}
    assert card.keys() == probes[name].keys()
    for probe_name, result in probes[name].items():
        assert result["accuracy"] == pytest.approx(card[probe_name], abs=0.1), probe_name
    known = KNOWN.get(RECIPES[name].shape.kind, ())  # of masked models none: what is hidden has hidden neighbours
    assert all(card[probe_name] > 0.9 for probe_name in known)

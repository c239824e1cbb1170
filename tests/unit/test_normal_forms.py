"""One normal form of texts at every door: tables, JSON, archives, names, answers, configuration, metrics."""

import csv
import json
import unicodedata
import zipfile

import pytest

from pipestill.answers.generated.answered import read_answers
from pipestill.answers.labels import LabelOptions, Labels
from pipestill.io.normal import clean, cleaned, normalise
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.measures import SHORT_ANSWERS, SUMMARIES
from pipestill.settings.annotation import StepConfig
from pipestill.tasks import TASKS
from pipestill.tasks.multiclinsum.archives import read_set
from pipestill.text.templates import Template
from support.layout_runs import prepare

MULTICLINSUM, DOLLY, CREDITMIX = TASKS["multiclinsum"], TASKS["dolly"], TASKS["creditmix"]
REPORT = "El médico exploró a la niña;\ntenía fiebre y dolor de estómago desde hacía días, caso {}."
SUMMARY = "La niña tenía fiebre."


def decomposed(text):
    return unicodedata.normalize("NFD", text).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (decomposed("niña\nseñor"), "niña\nseñor"),
        ("a\rb\r\nc", "a\nb\nc"),
        ("\ufeffa\u200bb\u2060c\u00add", "abcd"),
        ("e\u200b\u0301", "é"),  # what is unseen hides no composition
        ("\r\ufeff\n", "\n"),
        ("می\u200cخواهم \U0001f469\u200d\U0001f4bb", "می\u200cخواهم \U0001f469\u200d\U0001f4bb"),
        ("12\u00a0mg\u202f; a\u2028b ﬁ ½ Ａ", "12\u00a0mg\u202f; a\u2028b ﬁ ½ Ａ"),
        (" \tGood ", " \tGood "),
    ],
)
def test_texts_have_one_spelling_and_keep_what_authors_write(text, expected):
    assert clean(text) == expected == clean(clean(text))


def test_values_of_json_are_cleaned_at_any_depth_with_their_keys():
    assert cleaned({decomposed("año"): [decomposed("niño"), {"a": "x\r\n"}, 1, None, True]}) == {
        "año": ["niño", {"a": "x\n"}, 1, None, True]
    }
    with pytest.raises(ValueError, match="two keys are the same text"):
        cleaned({"año": 1, decomposed("año"): 2})


def test_splits_are_compared_without_what_nobody_sees():
    assert normalise("Ａge:\u00a0 2\u200b3\r\n") == "age: 23"


def written(path, rows):
    if path.suffix in (".csv", ".tsv"):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for number, row in enumerate(rows):
                archive.writestr(f"fulltext/multiclinsum_gs_es_{number}.txt", row["input"])
                archive.writestr(f"summaries/multiclinsum_gs_es_{number}_sum.txt", row["output"])
    else:
        lines = [json.dumps(row, ensure_ascii=path.suffix == ".jsonl") for row in rows]
        path.write_bytes((f"[{','.join(lines)}]" if path.suffix == ".json" else "\r\n".join(lines)).encode())
    return {"path": str(path)}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".zip"])
def test_documents_in_another_normal_form_are_the_same_records(tmp_path, suffix):
    rows = [{"input": REPORT.format(number), "output": SUMMARY, "language": "es"} for number in range(8)]
    splits = {"test_frac": 0.25, "val_frac": 0.125, "teacher_share": 0.0}
    found = []
    for form in (str, decomposed):
        (tmp_path / form.__name__).mkdir()
        given = [{name: form(text) for name, text in row.items()} for row in rows]
        files = {"mine": written(tmp_path / form.__name__ / f"x{suffix}", given)}
        found.append(prepare(MULTICLINSUM, tmp_path / form.__name__, source="files", files=files, splits=splits)[0])
    assert found[0] == found[1]
    assert found[0][0].inputs["document"] == REPORT.format(0)
    assert {record.target for record in found[0]} == {SUMMARY}


def test_a_text_and_its_summary_pair_in_two_normal_forms_of_their_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "x_es.zip", "w") as archive:
        archive.writestr("fulltext/niño_1.txt", "a long report")
        archive.writestr(f"summaries/{unicodedata.normalize('NFD', 'niño_1')}_sum.txt", "short")
    ((name, row),) = read_set(tmp_path / "x_es.zip").rows
    assert (name, row["input"], row["output"]) == ("niño_1", "a long report", "short")


def test_names_that_are_utf_8_without_saying_so_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "x_es.zip", "w") as archive:
        archive.writestr("niño_1.txt", "a long report")
        archive.writestr("niño_1_sum.txt", "short")
    content = (tmp_path / "x_es.zip").read_bytes()
    for signature, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            flags = bytes([content[start + offset], content[start + offset + 1] & ~0x08])
            content = content[: start + offset] + flags + content[start + offset + 2 :]
    (tmp_path / "x_es.zip").write_bytes(content)
    assert [name for name, _ in read_set(tmp_path / "x_es.zip").rows] == ["niño_1"]


def test_labels_null_inputs_and_prompts_of_the_configuration_are_spelt_as_data_are():
    labels = Labels((decomposed("Añejo"), "Bad"), null_inputs=(decomposed("Ñ"),))
    assert (labels.labels, labels.null_inputs) == (("Añejo", "Bad"), ("Ñ",))
    assert LabelOptions(null_inputs=["a\r\n\u200b"]).null_inputs == ["a\n"]
    step = StepConfig(prompt=decomposed("¿Qué?\n{document}"), system="a\r", pattern=decomposed("é"), out="rationale")
    assert (step.prompt, step.system, step.pattern) == ("¿Qué?\n{document}", "a\n", "é")
    assert Template(decomposed("Año: {a}\n")).fill({"a": "x"}) == "Año: x\n"


@pytest.mark.parametrize("measure", [SHORT_ANSWERS, SUMMARIES])
def test_an_answer_in_another_normal_form_scores_as_the_same(measure):
    functions, text = measure.functions, REPORT.format(1)
    assert functions.one(decomposed(text), [text]) == functions.one(text, [decomposed(text)]) == 100
    same, other = (functions.score([each], [[text]], ["es"], "sentencex").columns for each in (text, decomposed(text)))
    assert list(same) == list(other)
    assert all(str(same[name]) == str(other[name]) for name in same)
    assert exact_match(decomposed("Añejo.\u200b"), ["añejo"]) == 1


def test_predictions_of_other_versions_are_read_in_the_normal_form(tmp_path):
    row = {"id": "a", "split": "test", "test_set": "es", "sampling_seed": None}
    row |= {"prediction": decomposed("niña"), "references": [decomposed("niño")]}
    write_jsonl(tmp_path / "predictions.jsonl", [row])
    (found,) = read_answers(tmp_path / "predictions.jsonl", ["es"])
    assert (found["prediction"], found["references"]) == ("niña", ["niño"])


def test_line_separators_in_texts_end_no_line(tmp_path):
    texts = ["a\u2028b", "c\u2029d", "e\x0bf\x0cg", "h\u0085i\x1cj"]
    write_jsonl(tmp_path / "rows.jsonl", [{"text": text} for text in texts])
    assert [row["text"] for row in read_jsonl(tmp_path / "rows.jsonl")] == texts


def test_labels_in_another_normal_form_or_dress_are_found(tmp_path):
    rows = [{"question": f"Age: {n}", "answer": f"\ufeff{label}\u200b\r\n"} for n in range(9) for label in ("Good",)]
    rows += [
        {"question": f"Age: {n + 9}", "answer": label} for n in range(18) for label in [("Standard", "Bad")[n % 2]]
    ]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    splits = {"test_rows": 3, "val_rows": 3}
    records, manifest = prepare(CREDITMIX, tmp_path, source="file", path=str(tmp_path / "x.json"), splits=splits)
    assert (len(records), manifest["bad_rows"]) == (27, 0)


def test_a_question_is_the_same_in_every_normal_form_and_never_in_two_splits(tmp_path):
    def row(question):
        return {"instruction": question, "input": "", "output": "sí"}

    written(tmp_path / "train.jsonl", [row(f"¿Qué año, {n}?") for n in range(20)])
    written(tmp_path / "dolly.jsonl", [row(decomposed(f"¿qué\u00a0año,\u200b {n}?")) for n in range(15, 25)])
    files = {name: {"path": str(tmp_path / f"{name}.jsonl")} for name in ("train", "dolly")}
    options = {"source": "files", "files": files, "test_sets": ["dolly"], "splits": {"val_rows": 2}}
    records, manifest = prepare(DOLLY, tmp_path, **options)
    assert manifest["files"]["train"]["rows_of_other_splits"] == 5
    assert len({record.question for record in records}) == len(records) == 25

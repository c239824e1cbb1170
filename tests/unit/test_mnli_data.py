"""MNLI and HANS as they are published, and the classes that rows become."""

import json
from collections import Counter

import pytest

from pipestill.errors import UserError
from pipestill.io.archives import write_archive
from pipestill.io.files import sha256
from pipestill.io.records import of_split
from pipestill.layouts.example import BadRow, LeftOut
from pipestill.layouts.raw import read_rows
from pipestill.objectives.training_file import draw
from pipestill.plan.checks import askable
from pipestill.plan.config import TaskConfig
from pipestill.tasks import TASKS, lexicon
from support.layout_runs import prepare, prompted, rows_of

MNLI, MERGED = TASKS["mnli"], TASKS["mnli-merged"]
RELATIONS = ("entailment", "neutral", "contradiction")
ROLES = ("train", "matched")
SPLITS = {"val_rows": 6, "teacher_share": 0.5}
GLUE = lexicon.words(
    "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse "
    "sentence1 sentence2 label1 gold_label"
)
HANS = lexicon.words(
    "gold_label sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse sentence1 sentence2 "
    "pairID heuristic subcase template"
)


def published(number, label, **changes):
    """A row as the archive of MNLI has it."""
    return {
        **{"annotator_labels": [label], "genre": "fiction", "gold_label": label, "pairID": f"{number}e"},
        **{"promptID": str(number), "sentence1": f"The bird {number} sings.", "sentence2": f"Bird {number} makes it."},
        **{"sentence1_binary_parse": "( The bird )", "sentence1_parse": "(ROOT The bird)"},
        **{"sentence2_binary_parse": "( Bird )", "sentence2_parse": "(ROOT Bird)"},
        **changes,
    }


def trap(number, label="entailment", heuristic="subsequence", **changes):
    """A row as HANS has it."""
    return {
        **{"gold_label": label, "sentence1_binary_parse": "( a )", "sentence2_binary_parse": "( b )"},
        **{"sentence1_parse": "(ROOT a)", "sentence2_parse": "(ROOT b)"},
        **{"sentence1": f"The cat near dog {number} ran .", "sentence2": f"Dog {number} ran ."},
        **{"pairID": f"ex{number}", "heuristic": heuristic, "subcase": "sn_PP_on_subject", "template": "temp25"},
        **changes,
    }


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"path": str(path)}


def table(path, names, rows):
    text = ["\t".join(names), *("\t".join(str(row.get(name, "x")) for name in names) for row in rows)]
    path.write_text("\n".join(text) + "\n")
    return {"path": str(path)}


def some(first, count):
    """Rows of each class, and every tenth without a gold label."""
    numbers = range(first, first + count)
    return [published(n, "-" if n % 10 == 9 else RELATIONS[n % 3]) for n in numbers]


@pytest.fixture
def files(tmp_path):
    """Published files: 60 training rows and 20 matched ones in JSON Lines, 20 mismatched ones of GLUE, 12 of HANS."""
    traps = [
        trap(n, ("entailment", "non-entailment")[n % 2], ("lexical_overlap", "subsequence", "constituent")[n % 3])
        for n in range(12)
    ]
    return {
        "train": lines(tmp_path / "train.jsonl", some(0, 60)),
        "matched": lines(tmp_path / "matched.jsonl", some(100, 20)),
        "mismatched": table(tmp_path / "mismatched.tsv", GLUE, some(200, 20)),
        "hans": table(tmp_path / "hans.txt", HANS, traps),
    }


def loaded(task, directory, files, splits=SPLITS, **data):
    return prepare(task, directory, source="files", files=files, splits=splits, **data)


def test_published_files_become_the_two_classes(files, tmp_path, capsys):
    records, manifest = loaded(MNLI, tmp_path, files, max_bad_share=0)
    assert Counter(record.test_set for record in of_split(records, "test")) == dict.fromkeys(MNLI.layout.names, 12)
    assert Counter(record.target for record in records) == {"entailment": 36, "contradiction": 36}
    by_pair = {record.meta["pairID"]: record for record in records}
    one, two = by_pair["102e"], by_pair["101e"]
    assert one.inputs == {"premise": "The bird 102 sings.", "hypothesis": "Bird 102 makes it."}
    assert (one.target, one.references, two.target) == ("entailment", ["entailment"], "contradiction")
    assert one.meta == {"line": 3, "genre": "fiction", "pairID": "102e"}
    train = manifest["files"]["train"]
    assert train["left_out_rows"] == 24
    assert train["left_out_rows_by_reason"] == {"neutral": 18, "without a gold label": 6}
    assert all(reading["bad_rows"] == 0 for reading in manifest["files"].values())
    said = capsys.readouterr().out
    assert "train: 36 records of 60 rows; 0 unusable, 0 repeated, 0 found elsewhere, 24 left out (neutral: 18" in said
    assert "matched.jsonl: nobody reads `annotator_labels` (12 rows), `promptID` (12 rows)" in said


def test_files_may_lie_in_an_archive_which_is_taken_once(files, tmp_path):
    plain, _ = loaded(MNLI, tmp_path, files)
    archive = tmp_path / "multinli_1.0.zip"
    write_archive(archive, [(f"multinli/{name}.jsonl", (tmp_path / f"{name}.jsonl").read_bytes()) for name in ROLES])
    address = {"url": archive.as_uri(), "sha256": sha256(archive)}
    packed = {name: {**address, "member": f"multinli/{name}.jsonl"} for name in ROLES}
    records, manifest = loaded(MNLI, tmp_path, {**files, **packed})
    assert records == plain
    train = manifest["raw"]["files"]["train"]
    assert train == {
        **{"origin": archive.as_uri(), "member": "multinli/train.jsonl", "archive_sha256": sha256(archive)},
        **{"bytes": (tmp_path / "train.jsonl").stat().st_size, "sha256": sha256(tmp_path / "train.jsonl")},
    }
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        *("hans.jsonl", "manifest.json", "matched.jsonl", "mismatched.jsonl", "train.jsonl")
    ]
    packed["train"]["member"] = "train.jsonl"
    with pytest.raises(UserError, match=r"has no file `train.jsonl`; there are multinli/train.jsonl, mul"):
        loaded(MNLI, tmp_path, {**files, **packed})
    packed["train"] = {"path": files["train"]["path"], "member": "train.jsonl"}
    with pytest.raises(UserError, match="is a damaged zip archive"):
        loaded(MNLI, tmp_path, {**files, **packed})


def test_all_three_heuristics_are_parts_of_hans(files, tmp_path):
    records, _ = loaded(MNLI, tmp_path, files)
    hans = [record for record in records if record.test_set == "hans"]
    assert Counter((record.subset, record.target) for record in hans) == {
        (heuristic, label): 2
        for heuristic in ("lexical_overlap", "subsequence", "constituent")
        for label in ("entailment", "contradiction")
    }
    assert {record.subset for record in records if record.test_set != "hans"} == {None}
    assert hans[0].meta == {"line": 2, "pairID": "ex0", "subcase": "sn_PP_on_subject", "template": "temp25"}
    lines(tmp_path / "hans.txt", [trap(n) for n in range(12)])  # the same in its other format
    assert [record.inputs for record in loaded(MNLI, tmp_path, files)[0] if record.test_set == "hans"] == [
        record.inputs for record in hans
    ]


def test_merged_pairs_that_leave_it_open_do_not_follow(files, tmp_path):
    records, manifest = loaded(MERGED, tmp_path, files)
    assert Counter(record.target for record in records if record.test_set == "matched") == {
        **{"entailment": 6, "non-entailment": 12}
    }
    assert Counter(record.target for record in records if record.test_set == "hans") == {
        **{"entailment": 6, "non-entailment": 6}
    }
    assert manifest["files"]["train"]["left_out_rows_by_reason"] == {"without a gold label": 6}
    prompt = MERGED.prompts["eval-harness"]
    assert [prompt.answer(label) for label in MERGED.answers.labels] == [" True", " False"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gold_label": ""}, "no label"),
        ({"gold_label": None}, "no label"),
        ({"gold_label": 1}, "unknown label 1"),
        ({"gold_label": "maybe"}, "unknown label 'maybe'"),
        ({"sentence1": " "}, "`sentence1` is empty"),
        ({"sentence2": 7}, "`sentence2` is not text"),
        ({"heuristic": "length"}, "unknown heuristic 'length'"),
    ],
)
def test_unusable_rows_are_named(change, reason):
    with pytest.raises(BadRow, match=f"^{reason}$"):
        MNLI.parse(trap(1, **change))


def test_columns_may_have_other_names(files, tmp_path):
    names = {"sentence1": "premise", "sentence2": "hypothesis", "gold_label": "label"}
    rows = [{own: row[name] for name, own in names.items()} for row in some(0, 60)]
    files = {role: lines(tmp_path / f"{role}.jsonl", rows[20 * n :]) for n, role in enumerate(("train", "matched"))}
    records, _ = loaded(MNLI, tmp_path, files, test_sets=["matched"], columns=names, max_bad_share=0)
    assert len(of_split(records, "test")) == 24
    with pytest.raises(UserError, match=r"`gold_label` is missing.*its columns are `premise`, `hypothesis`, `label`"):
        loaded(MNLI, tmp_path, files, test_sets=["matched"])


def test_rows_that_are_left_out_are_not_bad_ones(files, tmp_path):
    with pytest.raises(LeftOut, match=r"^neutral$"):
        MNLI.parse(published(1, "neutral", sentence1=""))
    bad = [published(n, "entailment", sentence2="") for n in (300, 301)]
    lines(tmp_path / "train.jsonl", [*some(0, 60), *bad])
    with pytest.raises(UserError, match=r"train.jsonl: 2 of 38 rows are unusable.*line 61: `sentence2` is empty"):
        loaded(MNLI, tmp_path, files, max_bad_share=2 / 39)
    loaded(MNLI, tmp_path, files, max_bad_share=2 / 38)
    lines(tmp_path / "train.jsonl", [published(n, "neutral") for n in range(9)])
    with pytest.raises(UserError, match="train: none of 9 rows is left: 0 are unusable, 9 are none of the task's, 0"):
        loaded(MNLI, tmp_path, files, max_bad_share=0)


def test_a_table_has_tabs_and_takes_quotation_marks_as_they_stand(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_bytes('\ufeffgold_label\tsentence1\tsentence2\r\n-\t"Go\t it"\r\n\r\na\tb\r\nx\ty\tz\tw\n'.encode())
    (first, row), *others = read_rows(path)
    assert (first, row) == (2, {"gold_label": "-", "sentence1": '"Go', "sentence2": ' it"'})
    assert [(line, str(bad)) for line, bad in others] == [
        (4, "fewer fields than the header has"),
        (5, "more fields than the header has"),
    ]
    path.write_text("sentence1\tsentence1\na\tb\n")
    with pytest.raises(UserError, match="2 columns are called `sentence1`: rename all but one"):
        list(read_rows(path))


@pytest.mark.parametrize("seed", range(10))
def test_few_shots_are_as_many_as_asked_for_and_balanced(files, tmp_path, seed):
    records, _ = loaded(MNLI, tmp_path, files, {"val_rows": 2, "teacher_share": 0})
    train = of_split(records, "train")
    for asked in (2, 8, 16):
        drawn = draw(train, MNLI.answers, asked, seed)
        assert Counter(record.target for record in drawn) == dict.fromkeys(MNLI.answers.labels, asked // 2)
        assert len({record.id for record in drawn}) == asked
    assert {r.id for r in draw(train, MNLI.answers, 4, seed)} <= {r.id for r in draw(train, MNLI.answers, 16, seed)}


def test_prompts_have_the_published_wordings():
    inputs = {"premise": "A dog ran.", "hypothesis": "It moved."}
    asked = {name: prompt.fill(inputs) for name, prompt in MNLI.prompts.items() if not prompt.privileged}
    assert asked["minimal"] == asked["answer"] == "A dog ran. It moved. ?"
    assert asked["gpt-3"] == "A dog ran. question: It moved. Yes or No? answer:"
    assert asked["eval-harness"] == "A dog ran.\nQuestion: It moved. True or False?\nAnswer:"
    assert MNLI.prompts["teacher"].fill(inputs, "contradiction").endswith("Hypothesis: It moved. Label: No ?")
    for name, prompt in MNLI.prompts.items():
        MNLI.answers.check_words(prompt.verbalizers)
        assert prompt.privileged == (name == "teacher") and (prompt.render == "chat") == (name == "instruction")
        assert (prompt.prefix, prompt.separator) == (" ", "\n\n")


def test_what_shows_the_label_is_not_asked_of_test_rows(files, tmp_path):
    records, _ = loaded(MNLI, tmp_path, files)
    with pytest.raises(UserError, match=r"a prompt has \{label\}, but there is no text of this name"):
        MNLI.prompts["teacher"].fill(records[0].inputs)
    names = askable(MNLI, TaskConfig())
    assert "teacher" not in names and {"minimal", "gpt-3", "eval-harness", "instruction"} <= set(names)
    for name in names:
        cropped, _ = prompted(MNLI, records, name)
        shown = [label in record.prompt for record in of_split(cropped, "test") for label in (*RELATIONS, "Label")]
        assert not any(shown)


def test_training_rows_answer_with_the_words_of_the_prompt(files, tmp_path):
    records, _ = prompted(MNLI, loaded(MNLI, tmp_path, files)[0])
    rows, _ = rows_of(MNLI, "sft", records, 4)
    assert Counter(row["output"] for row in rows) == {" Yes": 2, " No": 2}
    assert all(row["input"].endswith(" ?") for row in rows)

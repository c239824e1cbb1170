"""Several answers of a teacher to a prompt: which are verified, which are learnt, and what is said of the others."""

import json

import pytest

from pipestill.answers.json.document import says
from pipestill.answers.json.writing import Said
from pipestill.errors import UserError
from pipestill.evaluation.evaluate import _learnt
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.methods import METHODS
from pipestill.objectives.samples import Judged
from pipestill.objectives.training_file import write_training_file
from pipestill.plan.check import check
from pipestill.plan.experiments import Experiments
from pipestill.plan.jobs import Jobs
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.settings.samples import SamplesConfig
from pipestill.tasks import TASKS
from support.configurations import smoke

ADD = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return 3"
TESTS = {"entry_point": "add", "tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}


def record(inputs, target="", **facts):
    return Record("r", "train", inputs, target, [target] if target else [], **facts)


def judged(task, outputs, record):
    answers = TASKS[task].answers
    with answers.lessons(answers.options({})) as lessons:
        return Judged.of(outputs, lessons, record, record.target or None)


@pytest.mark.parametrize(
    ("outputs", "gold", "verified", "best"),
    [
        (["Bad", "Good", "bad"], "Good", ["Good"], "Good"),
        (["Bad", "Bad"], "Good", [], "Bad"),
        (["Bad", "Good", "Good"], "", ["Good"], "Good"),
        (["Bad", "Good", "Standard", "Good"], "", [], "Good"),  # no more than half of them agree
        (["Bad"], "", ["Bad"], "Bad"),
        (["Bad"], "Good", [], "Bad"),
    ],
)
def test_labels_are_verified_by_the_gold_one_or_else_by_most(outputs, gold, verified, best):
    found = judged("creditmix", outputs, record({"features": "Age: 23.0"}, gold))
    assert (found.learnt("verified"), found.learnt("best"), found.learnt("all")) == (verified, [best], outputs)


def test_code_is_verified_by_tests_or_else_by_the_same_code():
    fenced = f"```python\n{ADD}\n```"
    tested = record({"prompt": "Add."}, ADD, meta=TESTS)
    found = judged("codegen", [WRONG, ADD, fenced, ADD], tested)
    assert found.learnt("verified") == [ADD, fenced] and found.learnt("best") == [ADD]
    assert judged("codegen", [WRONG, WRONG], tested).learnt("verified") == []
    untested = record({"prompt": "Add."})
    assert judged("codegen", [WRONG, ADD, fenced], untested).verified == [False, True, True]


def test_of_texts_the_one_in_the_middle_stands_for_all():
    texts = ["a red house", "the house is red and old", "the house is red"]
    found = judged("dolly", texts, record({"instruction": "Say.", "input": ""}, "the house is red and old"))
    assert found.learnt("verified") == found.learnt("best") == [texts[2]]


PAPER = "Invoice INV-1\n21.10.2025\nBar LLC\nbott1es: 2 x 1'250,50\nTotal 2 501,00 USD"
SAID = {"kind": "invoice", "number": "INV-1", "date": "2025-10-21", "vendor": "Bar LLC", "buyer": None}
ITEM = {"product": "bottles", "quantity": 2, "price": 1250.5}
SAID |= {"currency": "USD", "total": 2501, "items": [ITEM]}


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"kind": "order"}, False),  # the document has another one of the list
        ({"total": 251}, False),
        ({"total": 250100}, False),
        ({"total": 1250.5}, False),  # there once, as a price, and not the sum
        ({"vendor": "Baz LLC"}, False),
        ({"buyer": "Bar LLC"}, False),  # there once, as the vendor
        ({"buyer": "Bar"}, False),  # a part of what the vendor says
        ({"number": "INV"}, False),  # not the whole of it
        ({"date": "2025-10-12"}, False),
        ({"date": "2025-09-21"}, False),
        ({"items": [ITEM | {"quantity": 3}]}, False),
        ({"items": [ITEM | {"product": "Bar LLC"}]}, False),
        ({"items": []}, True),  # what is left out is not seen
        ({"kind": "letter"}, False),  # not valid
    ],
)
def test_json_is_verified_by_the_schema_and_the_document(change, right):
    output = json.dumps(SAID | change)
    assert judged("idp", [output], record({"document": PAPER})).verified == [right]


def test_json_that_agrees_most_is_the_best_of_those_that_are_verified():
    outputs = [json.dumps(SAID | change) for change in ({"vendor": "Foo"}, {"number": None}, {}, {"date": None})]
    found = judged("idp", ["no JSON", *outputs], record({"document": PAPER}))
    assert found.verified == [False, False, True, True, True] and found.learnt("best") == [outputs[2]]


def spoken(document, value, **schema):
    return says(document, value, Said.by(schema))


def test_what_the_schema_lists_need_not_be_said_unless_another_one_is():
    colour = {"anyOf": [{"enum": ["red", "blue"]}, {"const": "green"}]}
    for value, document, right in (
        ("red", "A house.", True), ("green", "A house.", True), ("red", "A blue house.", False),
        ("red", "A red and blue house.", True), ("red", "A greenish house.", True), ("pink", "A house.", False),
    ):  # fmt: skip
        assert spoken(document, {"colour": value, "old": True, "name": None}, properties={"colour": colour}) is right


@pytest.mark.parametrize(
    ("value", "written", "others"),
    [
        (
            1250.5,
            ["1250.5", "1,250.50", "1.250,50", "1'250.50", "1 250,5", "EUR1250.50"],
            ["12505", "12,50.50", "1250.55"],
        ),
        (3, ["3", "3.00", "3,0", "3x", "$3"], ["3.5", "13", "3.000", "1,003"]),
        (15, ["l5", "1S"], ["ls", "115", "15,5"]),
        ("Bar LLC", ["BAR  LLC.", "bar-llc", "8ar LLC"], ["Bar", "crowbar LLC", "Bar LLCs", "x-Bar LLC"]),
        ("corner", ["comer", "Corner,"], ["corners"]),
        (
            "2025-03-04",
            [
                "2025-03-04",
                "4.3.25",
                "03/04/2025",
                "4 March 2025",
                "Mar. 4th, 2025",
                "4 de marzo de 2025",
                "2025年3月4日",
            ],
            ["2025-04-05", "4 May 2025", "4 March 2024", "2025", "14.3.2025", "4 of 3 March 2025"],
        ),
    ],
)
def test_values_are_said_as_a_whole_in_any_spelling(value, written, others):
    assert [text for text in written if not spoken(f"It is {text} here", value)] == []
    assert [text for text in others if spoken(f"It is {text} here", value)] == []


def test_items_stand_together_and_apart_from_each_other():
    document, items = "2 hats at 5.00\n3 socks at 7.00\n1 hat at 5.00", [["hats", 2, 5], ["socks", 3, 7], ["hat", 1, 5]]
    assert spoken(document, items) and spoken(document, items[::-1]) and spoken(document, items[:1])
    for wrong in ([["hats", 3, 5], ["socks", 2, 7]], [["hats", 2, 7], ["socks", 3, 7]], [*items, items[0]]):
        assert not spoken(document, wrong)
    assert spoken("a " * 600, ["a"] * 600) and not spoken("a " * 600, ["b", *["a"] * 600])  # also where there are many


RECORDS = [
    *(Record(f"r{n}", "train", {"features": f"Age: {n}"}, label, [label]) for n, label in enumerate(("Good", "Bad"))),
    Record("s", "train", {"features": "Age: 9"}, "Standard", ["Standard"]),
    Record("v", "validation", {"features": "Age: 7"}, "Bad", ["Bad"]),
]
OUTPUTS = {"r0": ["Good", "Bad", "Good"], "r1": ["Good", "Bad", "bad"], "s": ["Good"] * 3, "u": ["Bad", "Bad", "Good"]}
PROMPT = TASKS["creditmix"].prompts["answer"]


def written(tmp_path, outputs=OUTPUTS, **settings):
    names = ("records", "outputs", "unlabelled", "unlabelled_outputs", "train", "validation", "long_answers")
    files = {name: tmp_path / f"{name}.jsonl" for name in names}
    rows = [{"id": name, "outputs": said} for name, said in outputs.items()]
    write_jsonl(files["records"], RECORDS)
    write_jsonl(files["unlabelled"], [Record("u", "train", {"features": "Age: 8"}, "", [])])
    write_jsonl(files["outputs"], rows[:3])
    write_jsonl(files["unlabelled_outputs"], rows[3:])
    told = TrainingFileSettings(task="creditmix", method="kd", seed=1, prompt=PROMPT, **settings)
    write_training_file(TASKS["creditmix"], METHODS["kd"].objective, told, files, lambda text, each: text)
    return {row["id"]: row["teacher_output"] for row in read_jsonl(files["train"])}, files


def test_rows_are_those_answers_that_are_kept_and_the_report_counts_them(tmp_path):
    rows, files = written(tmp_path, keep="verified")
    assert rows == {"r0": "Good", "r1": "Bad", "r1#2": "bad", "u": "Bad"}
    assert len(read_jsonl(files["validation"])) == 1
    counts = {"prompts": 4, "learnt": 3, "answers": 12, "verified": 6, "kept": 4}
    assert read_json(files["long_answers"])["kept"] == {"keep": "verified", **counts}
    assert _learnt(files["long_answers"]) == [
        "The teacher gave 12 answers to 4 prompts, of which 50% are verified. These are learnt, each once: 4, to 3 "
        "prompts."
    ]
    assert written(tmp_path, keep="best")[0] == {"r0": "Good", "r1": "Bad", "s": "Good", "u": "Bad"}
    assert list(written(tmp_path, keep="all")[0]) == [
        *(f"{name}{number}" for name in read_ids(files) for number in ("", "#2", "#3")),
    ]


def read_ids(files):
    """Ids of the training rows without numbers behind them, in their order."""
    return list(dict.fromkeys(row["id"].partition("#")[0] for row in read_jsonl(files["train"])))


def test_without_a_choice_the_file_is_that_of_the_likeliest_answers(tmp_path):
    several, files = written(tmp_path)
    content = files["train"].read_bytes()
    assert several == written(tmp_path, {name: said[:1] for name, said in OUTPUTS.items()})[0]
    assert files["train"].read_bytes() == content and "kept" not in read_json(files["long_answers"])
    assert written(tmp_path, {name: said[:1] for name, said in OUTPUTS.items()}, keep="all")[0] == several


def test_a_file_of_which_nothing_is_verified_is_refused(tmp_path):
    with pytest.raises(UserError, match="none of 12 answers of the teacher is verified"):
        written(tmp_path, {name: ["one", "two", "three"] for name in OUTPUTS}, keep="verified")


def configured(**changes):
    config = smoke()
    config["studies"]["creditmix"] |= {"methods": ["sft", "kd"], **changes}
    return check(config)


def test_further_answers_are_drawn_for_the_method_that_learns_them_alone():
    config = configured(kd={"samples": 3, "temperature": 0.5, "keep": "best"})
    drawing = Experiments(config).drawing("creditmix")
    assert drawing.sampling_seeds == [1, 2] and drawing.temperature == 0.5 and drawing.sampling
    jobs = Jobs(config)
    told = json.loads(jobs.training_file_settings("creditmix", "kd"))
    assert told["keep"] == "best" and json.loads(jobs.training_file_settings("creditmix", "sft"))["keep"] is None
    assert json.loads(jobs.scoring_settings("creditmix", "sft"))["drawing"] is None
    other = configured(methods=["sft", "dpo"], kd={"samples": 3})
    assert Experiments(other).drawing("creditmix") is None
    plain = Jobs(configured(kd={"samples": 1, "keep": "all"}))
    assert plain.training_file_settings("creditmix", "kd") == Jobs(configured()).training_file_settings(
        "creditmix", "kd"
    )


def test_what_no_teacher_gives_is_refused():
    with pytest.raises(UserError, match=r"studies.creditmix.kd: a teacher gives such answers"):
        configured(teacher=None, overrides={}, unlabelled={}, kd={"samples": 2})
    with pytest.raises(ValueError, match="raise `samples`"):
        SamplesConfig(temperature=0.5)

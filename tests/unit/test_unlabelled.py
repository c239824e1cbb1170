"""Prompts without gold outputs: which they are, what training files make of them, and what is refused."""

from pathlib import Path

import pytest

from pipestill.answers.base import Said
from pipestill.errors import UserError
from pipestill.io.records import Record, of_split, read_jsonl, read_records, write_jsonl
from pipestill.layouts.base import Cropping
from pipestill.methods import METHODS
from pipestill.objectives.training_file import Unlabelled, annotated_outputs, made_rows, separated, write_training_file
from pipestill.objectives.unlabelled import draw, of_file, of_training_split
from pipestill.plan.check import check
from pipestill.plan.experiments import Experiments
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems
from pipestill.plan.shares import with_shares
from pipestill.settings.contexts import TeacherContext
from pipestill.settings.jobs import TrainingFileSettings, UnlabelledSettings
from pipestill.tasks import TASKS
from support.configurations import smoke
from support.layout_runs import prepare, prompted
from support.reports import script

CREDITMIX = TASKS["creditmix"]
PROMPT = CREDITMIX.prompts["answer"]
DATA = {"rows": 300, "splits": {"test_rows": 30, "val_rows": 15, "teacher_share": 0.3}, "max_chars": 200}
LABELS = CREDITMIX.answers.classes


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    found, _ = prepare(CREDITMIX, tmp_path_factory.mktemp("creditmix"), **DATA)
    return prompted(CREDITMIX, found, **DATA)[0]


def rows_of(records, method, outputs=None, unlabelled=None, said=None, **settings):
    told = TrainingFileSettings(task="creditmix", method=method, seed=1, rows=12, prompt=PROMPT, **settings)
    asked = unlabelled and Unlabelled(unlabelled, said)
    return separated(made_rows(CREDITMIX, METHODS[method].objective, told, records, outputs, None, None, asked))


def run(name, **options):
    script(name, [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))])


def said_to(records):
    """A teacher that writes nonsense, and finds the last label the likeliest."""
    scores = dict(zip(LABELS, (-3.0, -2.0, -1.0), strict=True))
    return {each.id: vars(Said(each.id, [f"said of {each.id}"], scores)) for each in records}


def test_the_rest_of_the_training_split_is_taken_without_its_gold_outputs(records):
    labelled = {row["id"] for row in rows_of(records, "sft")[0]}
    found = of_training_split(records, labelled)
    assert {each.id for each in found} | labelled == {each.id for each in of_split(records, "train")}
    assert not {each.id for each in found} & labelled
    own = {each.id: each for each in records}
    for each in found:
        assert not each.labelled and own[each.id].labelled and each.inputs == own[each.id].inputs
        assert (each.target, each.references, each.meta, each.prompt) == ("", [], {}, None)
    drawn = draw(found, 20, 42)
    assert draw(found, 5, 42) == drawn[:5] and len(drawn) == 20 != draw(found, 20, 43)
    assert sorted(each.id for each in draw(found, None, 42)) == sorted(each.id for each in found)
    with pytest.raises(UserError, match="none is left for `unlabelled`: lower `train_rows`"):
        of_training_split(records, {each.id for each in records})


def test_rows_of_what_the_teacher_says_follow_those_with_gold_outputs(records):
    labelled = of_split(records, "train")
    gold, held_out = rows_of(records, "sft")
    unlabelled = draw(of_training_split(records, {row["id"] for row in gold}), 7, 42)
    kd, _ = rows_of(records, "kd", said_to(labelled))
    more, validation = rows_of(records, "kd", said_to(labelled), unlabelled, said_to(unlabelled))
    assert more[: len(kd)] == kd and validation == rows_of(records, "kd")[1]
    assert [row["teacher_output"] for row in more[len(kd) :]] == [f"said of {each.id}" for each in unlabelled]

    taught, validation = rows_of(records, "fkl", None, unlabelled, said_to(unlabelled))
    assert taught[: len(gold)] == gold and validation == held_out
    for row, each in zip(taught[len(gold) :], unlabelled, strict=True):
        assert row == {"id": each.id, "input": PROMPT.fill(each.inputs), "output": LABELS[-1]}


def test_a_teacher_with_a_context_answers_them_with_demonstrations_of_others(records):
    context = TeacherContext(prompt=PROMPT, shots=2, seed=1, instruction="Be fair.")
    gold, held_out = rows_of(records, "cd", context=context)
    unlabelled = draw(of_training_split(records, {row["id"] for row in gold}), 7, 42)
    asked, _ = rows_of(records, "cd", None, unlabelled, context=context)
    taught, validation = rows_of(records, "cd", None, unlabelled, said_to(unlabelled), context=context)
    assert asked[:12] == taught[:12] == gold and validation == held_out
    for row, before, each in zip(taught[12:], asked[12:], unlabelled, strict=True):
        assert row["id"] == each.id and row["output"] == row["answer"] == LABELS[-1] and row["gold"] is None
        assert row["question"] == before["question"] == PROMPT.fill(each.inputs)
        assert row["demonstrations"] == before["demonstrations"]
        assert len(row["demonstrations"]) == 2 and {*row["demonstrations"]} <= {own["id"] for own in gold}


def test_the_annotation_writes_answers_and_rationales(tmp_path):
    task = TASKS["multiclinsum"]
    inputs = [{"document": f"Case {number}."} for number in range(4)]
    records = [Record(f"t{n}", "train", each, f"gold {n}", [f"gold {n}"]) for n, each in enumerate(inputs[:2])]
    records.append(Record("v", "validation", inputs[2], "gold v", ["gold v"]))
    unlabelled = [Record("u1", "train", inputs[3], "", []), Record("u2", "train", inputs[2], "", [])]
    annotated = [{"id": each.id, "rationale": f"why {each.id}", "answer": f"say {each.id}"} for each in records]
    annotated += [{"id": "u1", "rationale": "why u1", "answer": "say u1"}, {"id": "u2", "rationale": "why u2"}]
    names = ("records", "rationales", "unlabelled", "train", "validation")
    files = {name: tmp_path / f"{name}.jsonl" for name in names}
    for name, rows in {"records": records, "rationales": annotated, "unlabelled": unlabelled}.items():
        write_jsonl(files[name], rows)
    prompt, objective = task.prompts["answer"], METHODS["stepwise"].objective
    told = TrainingFileSettings(task="multiclinsum", method="stepwise", seed=1, prompt=prompt, allow_missing=0.5)
    write_training_file(task, objective, told, files, lambda rationale, record: rationale)
    rows = {row["id"]: row for row in read_jsonl(files["train"])}
    assert {name: (row["output"], row["rationale"]) for name, row in rows.items()} == {
        "t0": ("gold 0", "why t0"),
        "t1": ("gold 1", "why t1"),
        "u1": ("say u1", "why u1"),
    }
    assert rows["u1"]["input"] == prompt.fill(inputs[3])
    few = told.model_copy(update={"allow_missing": 0.4})
    with pytest.raises(UserError, match="answers 1 of 2 prompts without gold outputs in a way that can be read"):
        write_training_file(task, objective, few, files, lambda rationale, record: rationale)
    assert [*annotated_outputs(files["rationales"], unlabelled[:1], task.answers, 0)] == ["u1"]


def test_an_annotation_that_writes_no_label_gives_none(tmp_path):
    asked = [Record(name, "train", {"features": name}, "", []) for name in ("a", "b", "c")]
    rows = [{"id": "a", "answer": "good"}, {"id": "b", "answer": "Good, I think"}, {"id": "c", "answer": None}]
    write_jsonl(tmp_path / "rationales.jsonl", rows)
    found = annotated_outputs(tmp_path / "rationales.jsonl", asked, CREDITMIX.answers, 1)
    assert {name: said["outputs"] for name, said in found.items()} == {"a": ["Good"]}


def test_teachers_of_texts_teach_their_first_output():
    lessons = TASKS["dolly"].answers.lessons(TASKS["dolly"].answers.options({}))
    with lessons as taught:
        assert taught.likeliest(vars(Said("a", ["first", "second"]))) == "first"


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_file_of_inputs_gives_those_that_the_data_do_not_ask(records, tmp_path, ending):
    test = of_split(records, "test")[0].inputs["features"]
    texts = [test, "Age: 31, Annual Income: 5", "Age: 31,  Annual Income: 5", "word " * 90, test.upper()]
    path = tmp_path / f"inputs.{ending}"
    if ending == "csv":
        path.write_text("features,answer\n" + "".join(f'"{text}",Good\n' for text in texts))
    else:
        write_jsonl(path, [{"Features": text, "answer": "Good"} for text in texts])
    settings = UnlabelledSettings(task="creditmix", seed=1, prompt=PROMPT, data={"max_chars": 200})
    found = of_file(CREDITMIX, path, settings, Cropping(PROMPT), records)
    assert [each.inputs["features"] for each in found] == [texts[1], ("word " * 40).strip()]
    assert not any(each.labelled for each in found) and {each.split for each in found} == {"train"}
    assert len({each.id for each in [*found, *records]}) == len(records) + 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (['{"question": "Age: 3"}'], "line 1: there is no text `features`; each row has a column for each of features"),
        (['{"features": 3}'], "line 1: there is no text `features`"),
        (['{"features": "a"}', '{"features": " "}'], "line 2: `features` says nothing; give it text, or remove"),
        (['{"features": "a"}', '{"features"'], "line 2: "),
    ],
)
def test_files_that_are_no_inputs_are_refused_by_line(records, tmp_path, rows, sentence):
    path = tmp_path / "inputs.jsonl"
    path.write_text("\n".join(rows) + "\n")
    settings = UnlabelledSettings(task="creditmix", seed=1, prompt=PROMPT)
    with pytest.raises(UserError, match=sentence):
        of_file(CREDITMIX, path, settings, Cropping(PROMPT), records)


def test_a_file_that_asks_nothing_new_is_refused(records, tmp_path):
    write_jsonl(tmp_path / "inputs.jsonl", [each.inputs for each in records[:3]])
    settings = UnlabelledSettings(task="creditmix", seed=1, prompt=PROMPT)
    with pytest.raises(UserError, match="none of 3 rows asks what the task's own data do not; name another file"):
        of_file(CREDITMIX, tmp_path / "inputs.jsonl", settings, Cropping(PROMPT), records)


def test_documents_of_a_file_are_cropped_in_their_language(tmp_path):
    task = TASKS["multiclinsum"]
    long = "A man had a cough. " * 30
    write_jsonl(tmp_path / "inputs.jsonl", [{"document": long, "language": "es"}, {"document": "Ein Fall."}])
    data, prompt = {"crop": {"unit": "chars", "text": 40}}, task.prompts["answer"]
    settings = UnlabelledSettings(task="multiclinsum", seed=1, prompt=prompt, data=data)
    first, second = of_file(task, tmp_path / "inputs.jsonl", settings, Cropping(prompt), [])
    assert first.inputs["document"] == "A man had a cough. A man had a cough." and first.test_set == "es"
    assert second.test_set == task.layout.languages[0]


def test_the_jobs_write_prompts_and_rows(records, tmp_path):
    config = smoke()
    config["studies"]["creditmix"] |= {"methods": ["sft", "fkl"], "unlabelled": {"rows": 5}, "train_rows": 12}
    config["studies"]["creditmix"] |= {"distributions": {"codec": "labels"}, "overrides": {}}
    plan = Plan(check(config), Path())
    cropped, labelled = tmp_path / "cropped.jsonl", tmp_path / "sft.jsonl"
    write_jsonl(cropped, records)
    gold, _ = rows_of(records, "sft")
    write_jsonl(labelled, gold)
    files = {"records": cropped, "labelled": labelled}
    out = {"output": tmp_path / "records.jsonl", "prompts": tmp_path / "prompts.jsonl"}
    run("unlabelled", settings=plan.unlabelled_settings("creditmix"), **files, **out)
    found, prompts = read_records(out["output"]), read_jsonl(out["prompts"])
    assert found == draw(of_training_split(records, {row["id"] for row in gold}), 5, 42)
    assert prompts == [{"id": each.id, "input": PROMPT.fill(each.inputs)} for each in found]
    write_jsonl(tmp_path / "said.jsonl", said_to(found).values())
    run(
        "training_file",
        settings=plan.training_file_settings("creditmix", "taught"),
        records=cropped,
        unlabelled=out["output"],
        unlabelled_outputs=tmp_path / "said.jsonl",
        train=tmp_path / "taught.jsonl",
        validation=tmp_path / "validation.jsonl",
    )
    rows = read_jsonl(tmp_path / "taught.jsonl")
    assert [row["id"] for row in rows[-5:]] == [each.id for each in found]
    assert {row["output"] for row in rows[-5:]} == {LABELS[-1]} and len(rows) == 12 + 5


def study(**settings):
    config = smoke()
    own = {"methods": ["base", "sft", "kd", "fkl"], "distributions": {"codec": "labels"}, "overrides": {}}
    config["studies"]["creditmix"] |= own | {"unlabelled": {"rows": 9}} | settings
    return config


def test_a_study_says_who_learns_them():
    plain, asked = Experiments(check(study(unlabelled={}))), Experiments(with_shares(check(study())))
    for method, (before, after) in {"sft": ("sft", "sft"), "kd": ("kd", "kd"), "fkl": ("sft", "taught")}.items():
        assert plain.file("creditmix", method).name == before
        assert asked.file("creditmix", method).name == asked.file("creditmix@25", method).name == after
        learns = method != "sft"
        assert asked.learns_unlabelled("creditmix", method) == learns
        assert not plain.learns_unlabelled("creditmix", method)
        notes = asked.notes("creditmix", method)
        assert any("prompts without gold outputs" in note for note in notes) == learns
        assert ("unlabelled" in asked.depends("creditmix", method)) == learns
    assert plain.file("creditmix", "base") is None
    assert asked.depends("creditmix", "sft") == plain.depends("creditmix", "sft")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"teacher": None, "methods": ["sft", "kd"]}, "studies.creditmix.unlabelled: a teacher answers such prompts"),
        ({"unlabelled": {"rows": 0}}, "studies.creditmix.unlabelled.rows"),
        ({"unlabelled": {"file": ""}}, "studies.creditmix.unlabelled.file"),
        ({"unlabelled": {"share": 1}}, "share"),
    ],
)
def test_prompts_that_nobody_answers_are_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        check(study(**change))


def test_a_context_that_shows_gold_answers_is_for_others():
    config = smoke()
    config["studies"]["mnli"] |= {"methods": ["cd", "sft", "fkl"], "unlabelled": {"rows": 9}}
    config["studies"]["mnli"]["overrides"] = {"cd": {"context": {"teacher_context": "demonstrations", "shots": 2}}}
    plan = Experiments(check(config))
    sources = {"cd": "context_outputs", "fkl": "outputs", "sft": None}
    assert {name: plan.unlabelled_source("mnli", name) for name in sources} == sources
    config["studies"]["mnli"]["overrides"]["cd"]["context"] = {"teacher_context": "hint"}
    config["tasks"]["mnli"]["prompts"] = {"teacher": {"text": "{premise} {hypothesis}? {label}", "privileged": True}}
    assert Experiments(check(config)).unlabelled_source("mnli", "cd") is None


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ({"rationale": "Why?\n{document}"}, "rationale and answer of the annotation; give `tasks.multiclinsum.anno"),
        (
            {"answer": "Sum up.\n{document}", "rationale": "Why {target}?\n{document}"},
            r"annotation.steps.1: what `studies.multiclinsum.unlabelled` gives has no `\{target\}`; leave it out",
        ),
    ],
)
def test_annotations_that_do_not_answer_or_look_at_gold_outputs_are_refused(steps, sentence):
    config = smoke()
    annotation = config["tasks"]["multiclinsum"]["annotation"]
    annotation["steps"] = [{"out": name, "prompt": prompt, "max_tokens": 9} for name, prompt in steps.items()]
    config["studies"]["multiclinsum"]["unlabelled"] = {"rows": 5}
    with pytest.raises(UserError, match=sentence):
        check(config)
    annotation["steps"] = [{"out": name, "prompt": "{document}", "max_tokens": 9} for name in ("rationale", "answer")]
    assert Experiments(check(config)).annotates_unlabelled("multiclinsum")


def test_a_teacher_that_learns_the_gold_outputs_is_refused(tmp_path):
    config = study()
    config["tasks"]["creditmix"]["data"]["splits"]["teacher_share"] = 0
    with pytest.raises(UserError, match="the teacher learns the gold outputs of these rows; raise `tasks"):
        check(config)
    config["studies"]["creditmix"]["unlabelled"] = {"file": "inputs.csv"}
    check(config)
    config["studies"]["creditmix"] |= {"unlabelled": {"rows": 9}, "pretrained_teacher": True}
    check(config)


def test_a_missing_file_is_said_before_any_job(tmp_path):
    for name, fault in (("nothing.csv", "does not exist"), ("", "is a directory")):
        plan = Plan(check(study(unlabelled={"file": str(tmp_path / name)})), Path())
        said = problems(plan, Needs(unlabelled=["creditmix"]))
        assert said == [f"studies.creditmix.unlabelled.file: {tmp_path / name} {fault}; name a file of inputs"]


def test_warm_up_may_last_as_long_as_the_prompts_let_it():
    training = {"batch_size": 8, "epochs": 1, "warmup": 4}
    config = study(train_rows=24, unlabelled={"rows": 16}, methods=["kd"], training=training)
    config["training"].pop("max_steps")
    check(config)
    config["studies"]["creditmix"]["unlabelled"]["rows"] = 8
    with pytest.raises(UserError, match="the `warmup` of `kd` is 4 steps, and its training 4 at most"):
        check(config)

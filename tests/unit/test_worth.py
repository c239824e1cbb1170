"""What a teacher is worth in gold outputs: studies behind the curves, and what the report says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import Summary
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.plan.worth import with_worth, worth_points
from pipestill.reporting.collect import beyond, collect
from pipestill.reporting.curves import Curves, with_curves
from pipestill.reporting.figures.worth import worth_curves
from pipestill.reporting.findings import findings
from pipestill.reporting.html import templates
from pipestill.reporting.overview import recommendation
from pipestill.reporting.worth import supplies, worth_of, worth_sentence
from support.configurations import smoke
from support.reports import plain, write_study


def config(**unlabelled):
    found = smoke()
    own = {"methods": ["sft", "kd", "dpo", "fkl"], "distributions": {"codec": "labels"}, "overrides": {}}
    asked = {"rows": 40, "curve": [40, 0, 10], "sft_curve": [96, 48]} | unlabelled
    found["studies"]["creditmix"] |= own | {"train_rows": 24, "unlabelled": asked}
    return found


def test_each_point_is_a_study_of_its_own():
    checked = check(config())
    assert [tuple(point) for point in worth_points(checked, "creditmix")] == [
        ("creditmix", "sft"),  # always a point, as all rows are: named in `sft_curve` or not
        ("creditmix@gold-48", "sft"),
        ("creditmix@gold-96", "sft"),
        *((f"creditmix{at}", method) for method in ("kd", "fkl") for at in ("@prompts-0", "@prompts-10", "")),
    ]
    studies = with_worth(checked).studies
    assert {name for name in studies.keys() - checked.studies.keys() if name.startswith("creditmix")} == {
        *(f"creditmix@gold-{rows}" for rows in (48, 96)),
        *(f"creditmix@prompts-{rows}" for rows in (0, 10)),
    }
    assert studies["creditmix@gold-96"].train_rows == 96 and not studies["creditmix@gold-96"].unlabelled.given
    assert studies["creditmix@prompts-10"].unlabelled.rows == 10 and studies["creditmix@prompts-10"].train_rows == 24
    plan = Plan(checked, Path())
    assert plan.file("creditmix@prompts-0", "fkl").name == "sft" and plan.file("creditmix", "fkl").name == "taught"
    assert worth_points(check(config(rows=None, curve=[], sft_curve=[])), "creditmix") == []
    one = [tuple(point) for point in worth_points(check(config(curve=[], sft_curve=[])), "creditmix")]
    assert one == [("creditmix", method) for method in ("sft", "kd", "fkl")]  # for what the report recommends


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"curve": [41]}, "studies.creditmix.unlabelled.curve: 41 prompts are more than its `rows` 40"),
        ({"sft_curve": [2]}, "studies.creditmix.unlabelled.sft_curve: 2 rows are none for each class; raise it"),
        ({"rows": None}, "studies.creditmix.unlabelled: its curves are through prompts; give it `rows` or a `file`"),
        ({"curve": [3, 3]}, "listed twice"),
        ({"curve": [-1]}, "curve"),
    ],
)
def test_points_that_cannot_be_are_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        check(config(**change))


def test_a_curve_of_sft_needs_that_method():
    asked = config()
    asked["studies"]["creditmix"]["methods"] = ["kd"]
    with pytest.raises(UserError, match="sft_curve: it is drawn for the method `sft`; add that"):
        check(asked)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    [found] = collect(write_study(tmp_path_factory.mktemp("report")))
    return found


def at(experiment, rows, mean):
    """The experiment as if it had learnt from other rows, to another quality."""
    evaluation = experiment.evaluation
    metric = evaluation.metrics["macro_f1"]
    changed = Summary.model_validate(metric.model_dump() | {"mean": mean})
    return replace(
        experiment,
        evaluation=evaluation.model_copy(
            update={"n_train": rows, "metrics": {**evaluation.metrics, "macro_f1": changed}}
        ),
    )


def curved(study, kd, gold=((50, 0.5), (100, 0.6), (200, 0.7))):
    """A study whose SFT reaches some numbers, and KD with 50 gold outputs and 350 prompts another."""
    own = [at(each, 50, 0.5) if each.method == "sft" else each for each in study.experiments]
    found = replace(study, experiments=own)
    points = {"sft": [at(found.sft, *each) for each in gold], "kd": [at(found.get("kd"), 400, kd)]}
    return replace(found, worth=points)


@pytest.mark.parametrize(
    ("mean", "reach"),
    [
        (0.65, "about 140"),  # half of the way, evenly on the logarithm
        (0.6, "about 100"),
        (0.5, "about 50"),
        (0.45, "fewer than 50"),
        (0.75, "more than 200"),
    ],
)
def test_a_method_is_worth_the_gold_outputs_that_sft_needs(study, mean, reach):
    [worth] = worth_of(curved(study, mean))
    title = study.get("kd").title
    assert worth.sentence() == (
        f"{title}, with 50 gold outputs and 350 prompts without, is as good as SFT with {reach} gold outputs."
    )


def test_a_curve_that_falls_and_rises_is_followed_to_where_it_first_reaches_the_method(study):
    [worth] = worth_of(curved(study, 0.58, ((50, 0.5), (100, 0.4), (200, 0.6), (400, 0.55), (800, 0.7))))
    assert 100 < worth.least == worth.most < 200


def test_the_report_draws_and_tells_them(study):
    found = curved(study, 0.65)
    svg = worth_curves(found)
    assert ">400<" in svg and ">200<" in svg and f">{found.get('kd').title}<" in svg and ">Teacher<" in svg
    assert worth_curves(study) is None and worth_of(study) == []
    page = (
        templates().get_template("worth.html.j2").render(view={"study": found, "figures": {}, "worth": worth_of(found)})
    )
    assert "is as good as SFT with about 140 gold outputs" in plain(page) and " 400 0.650 " in plain(page)


def test_what_is_recommended_is_said_for_its_gold_outputs(study):
    found = curved(study, 0.65)
    [teacher, kd, sft] = [found.get(name) for name in ("teacher", "kd", "sft")]
    taught = teacher.evaluation.n_train
    at_hand = f"with 50 gold outputs, 350 prompts without and this teacher, which learnt from {taught} gold outputs"
    assert supplies(found) == at_hand and recommendation(findings(found)).startswith(f"{at_hand}, take ")
    assert worth_sentence(found, kd) == "SFT is as good with about 140 gold outputs."
    assert worth_sentence(found, sft) == worth_sentence(study, kd) == ""
    one = replace(found, worth={"sft": [sft], "kd": found.worth["kd"]})
    assert worth_sentence(one, kd) == "" and worth_curves(one) is None and supplies(one) == at_hand
    gold = f"with {study.sft.evaluation.n_train} gold outputs"
    assert supplies(study) == f"{gold} and this teacher, which learnt from {taught} gold outputs"
    alone = replace(study, experiments=[each for each in study.experiments if each is not teacher])
    assert supplies(alone) == gold
    assert supplies(replace(study, experiments=[kd, teacher])) == ""


def test_points_are_taken_from_the_studies_and_from_beyond(study, tmp_path):
    loaded = beyond([study], [])
    [found] = with_curves([study], Curves(worth={study.name: [(study.name, "sft"), (study.name, "kd")]}), loaded)
    assert {method: [each.method for each in own] for method, own in found.worth.items()} == {
        "sft": ["sft"],
        "kd": ["kd"],
    }
    with pytest.raises(UserError, match=r"the curve of creditmix needs results/creditmix@gold-9_sft/eval\.json"):
        with_curves([study], Curves(worth={study.name: [("creditmix@gold-9", "sft")]}), loaded)

"""Compressed students: further rows of a study, each made of one of its students."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.plan.check import check
from pipestill.plan.compress_checks import check_compressible
from pipestill.plan.plan import Plan

ROOT = Path(__file__).parents[2]
WIDTH = {"prune": {"kind": "width", "amount": 0.5}}
LORA = {"training": {"adaptation": "lora"}}


def given(study="dolly", changes=None, **rows):
    """The default with compressed students, and with changes of sections."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"][study]["compress"] = rows
    for section, keys in (changes or {}).items():
        config[section] |= keys
    return config


@pytest.mark.parametrize(
    ("study", "changes", "rows", "sentence"),
    [
        ("dolly", {}, {"x": {}}, "x: nothing is compressed; say what to `prune` or how to `quantize`"),
        ("dolly", {}, {"sft": WIDTH}, "compress: `sft` is the name of a method"),
        (
            "dolly",
            {},
            {"x": WIDTH | {"from": "kd"}},
            "x.from: `kd` is no student that the study trains (base, sft, fkl",
        ),
        ("dolly", {}, {"x": WIDTH | {"from": "teacher"}}, "x.from: `teacher` is no student"),
        ("mnli", {}, {"x": WIDTH | {"from": "vanilla"}}, "x.from: `vanilla` has a head for labels"),
        ("dolly", LORA, {"x": WIDTH}, "x.from: `sft` is an adapter on weights that may be held in 4 bits"),
        ("dolly", {}, {"x": {"prune": {"kind": "width", "amount": 1.0}}}, "amount` is 1.0, but: Input should be less"),
        ("dolly", {}, {"x": {"prune": {"kind": "depth", "amount": 0}}}, "amount` is 0, but: Input should be greater"),
        ("dolly", {}, {"x": {"prune": {"kind": "2:4", "amount": 0.3}}}, "`kind: 2:4` removes half of the weights"),
        ("dolly", {}, {"x": {"quantize": {"scheme": "int1"}}}, 'scheme` is "int1", but: Input should be'),
        (
            "dolly",
            {},
            {"x": WIDTH | {"from": "base", "recover": {"objective": "self"}}},
            "x.recover.objective: the untrained student has nothing to teach",
        ),
        (
            "multiclinsum",
            {},
            {"x": WIDTH | {"recover": {"objective": "teacher"}}},
            "x.recover.objective: the study has no teacher",
        ),
        ("dolly", {}, {"x": WIDTH | {"recover": {"divergence": "uld"}}}, 'divergence` is "uld", but: Input should be'),
        ("dolly", {}, {"x": WIDTH | {"recover": {"divergence": "todi"}}}, "x.recover: `divergence` has no use with"),
        (
            "mnli",
            {},
            {"x": {"from": "bitfit", "quantize": {"scheme": "int4", "qat": True}}},
            "x.recover.learning_rate: recovery trains all weights, and the rate of `bitfit` (0.1) is that of",
        ),
    ],
)
def test_a_student_that_cannot_be_made_is_refused_in_one_sentence(study, changes, rows, sentence):
    with pytest.raises(UserError) as refused:
        check(given(study, changes, **rows))
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(("config: studies.", "config: `studies."))


def test_a_parent_that_an_overlay_drops_is_refused_with_three_ways_out():
    config = given(**{"int3": {"from": "todi", "quantize": {"scheme": "int3"}}})
    config["studies"]["dolly"]["methods"] = ["base", "sft"]
    with pytest.raises(UserError) as refused:
        check(config)
    assert str(refused.value) == (
        "config: studies.dolly.compress.int3.from: `todi` is no student that the study trains (base, sft); name one of "
        "them, add it to `methods`, or say `int3: null` (or `compress: null`: no row at all) if an overlay is to leave "
        "it out"
    )


def test_a_student_of_few_biases_is_compressed_at_a_rate_for_all_weights():
    quantised = {"from": "bitfit", "quantize": {"scheme": "int4"}}
    rows = {"rounded": quantised, "trained": quantised | {"recover": {"learning_rate": 1e-3}}}
    assert set(check(given("mnli", **rows)).studies["mnli"].compress) == set(rows)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"quantize": {"scheme": "int4", "group": 48}}, "config: studies.dolly.compress.x: quantize.group: 48 weights"),
        (
            {"prune": {"kind": "depth", "amount": 0.01}},
            "config: studies.dolly.compress.x: prune.amount: 0.01 of 4 layers",
        ),
        ({"prune": {"kind": "width", "amount": 0.74}, "quantize": {"scheme": "int4"}}, "of the pruned model"),
    ],
)
def test_what_a_model_on_this_machine_cannot_have_is_refused_too(row, sentence):
    with pytest.raises(UserError, match=r"^config: studies\.dolly\.compress\.x: ") as refused:
        check_compressible(check(given(x=row)), ROOT)
    assert sentence in str(refused.value)


def test_adapters_that_can_be_merged_exactly_are_taken():
    whole = {"training": {"adaptation": "lora"}, "hardware": {"quantization": "none"}}
    assert check(given(changes=whole, x=WIDTH)).studies["dolly"].compress["x"].parent == "sft"


def test_a_row_that_is_null_is_left_out():
    config = check(given(x=WIDTH, y=None))
    assert list(config.studies["dolly"].compress) == ["x"]


@pytest.fixture(scope="module")
def plan():
    rows = {
        "taught": WIDTH | {"from": "todi", "recover": {"objective": "teacher", "divergence": "todi", "epochs": 2}},
        "self": WIDTH | {"recover": {"objective": "self"}},
        "start": WIDTH | {"from": "base", "recover": {}},
        "rounded": {"quantize": {"scheme": "int3"}},
        "plain": {"from": "base", "quantize": {"scheme": "int8"}},
    }
    return Plan(check(given(**rows)), ROOT)


def job(method):
    return SimpleNamespace(study="dolly", method=method, seed="2")


def test_a_compressed_student_is_a_row_beside_its_parent(plan):
    rows = [row for study, row in plan.experiments if study == "dolly"]
    assert rows[-6:] == ["taught", "self", "start", "rounded", "plain", "teacher"]
    experiment = plan.experiment("dolly", "taught")
    assert experiment.compressed_from == "todi"
    assert experiment.method_summary == (
        "The student of ToDi, compressed: pruned by 50 % (width), trained by ToDi from the teacher."
    )


def test_it_starts_from_the_student_of_the_same_seed(plan):
    assert plan.start(job("taught")) == "<results>/dolly_todi/seed_2/model"
    assert plan.start(job("start")) == []
    assert plan.run_models(job("rounded")) == [f"<results>/dolly_rounded/seed_{seed}/model" for seed in (1, 2)]
    assert plan.seeds("dolly", "plain") == [0]


def test_recovery_is_the_training_of_its_parent_but_for_what_is_said(plan):
    settings = {name: json.loads(plan.compression_settings("dolly", name)) for name in ("taught", "self", "rounded")}
    assert settings["taught"]["training"]["method"] == "todi"
    assert settings["taught"]["training"]["training"]["epochs"] == 2
    assert settings["self"]["training"]["training"]["epochs"] == 8  # as the study trains
    assert [each["trains"] for each in settings.values()] == [True, True, False]


def test_what_it_learns_from_is_the_teacher_or_itself(plan):
    assert plan.read_manifest(job("taught")) == "<results>/teachers/dolly/distributions/manifest.json"
    assert plan.online_model(job("taught")) == []
    assert plan.online_model(job("self")) == "<results>/dolly_sft/seed_2/model"
    assert plan.online_base(job("self")) == "<results>/models/demo-student"
    assert not plan.learns_from_teacher("dolly", "self")


def test_its_cost_has_that_of_its_parent_and_of_what_taught_it(plan):
    assert plan.parent_costs(job("taught")) == [f"<results>/dolly_todi/seed_{seed}/cost.json" for seed in (1, 2)]
    assert plan.parent_costs(job("start")) == []
    assert plan.teacher_costs(job("taught")) == plan.teacher_costs(job("todi"))
    assert plan.teacher_costs(job("rounded")) == []
    depends = plan.experiment("dolly", "rounded").settings
    assert depends["compress"]["from"] == plan.depends("dolly", "sft")


def test_the_comparison_of_gradients_has_methods_alone(plan):
    assert "taught" in plan.readers("dolly")
    assert "taught" not in json.loads(plan.fidelity_settings("dolly"))["methods"]

"""Variants: further rows of a study, in which its models are asked in another way."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.plan.check import check
from pipestill.plan.plan import Plan

ROOT = Path(__file__).parents[2]
VARIANTS = {
    "greedy": {"answers": {"sampling": False}},
    "alpaca": {"prompt": "alpaca", "methods": ["sft", "teacher"]},
}


COMPRESSED = ("int3", "int3-qat", "narrow")


def given(**variants):
    """The default, with variants of the study `dolly`."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["dolly"] |= {"methods": ["base", "sft", "todi"], "variants": variants}
    return config


@pytest.fixture(scope="module")
def plan():
    return Plan(check(given(**VARIANTS)), ROOT)


def test_each_row_stands_before_its_variants(plan):
    rows = [row for study, row in plan.experiments if study == "dolly"]
    assert rows == [
        *("base", "base-greedy", "sft", "sft-greedy", "sft-alpaca", "todi", "todi-greedy"),
        *(row for name in COMPRESSED for row in (name, f"{name}-greedy")),
        *("teacher", "teacher-greedy", "teacher-alpaca"),
    ]
    assert plan.experiment("dolly", "todi-greedy").method_title == "ToDi (greedy)"
    assert plan.experiment("dolly", "todi-greedy").variant_of == "todi"
    assert plan.experiment("dolly", "todi").variant_of is None


@pytest.mark.parametrize("method", ["sft", "todi", "teacher"])
def test_a_variant_has_the_models_of_its_row(plan, method):
    row, variant = (SimpleNamespace(study="dolly", method=name) for name in (method, f"{method}-greedy"))
    for of in (plan.run_models, plan.run_seeds, plan.base_directory, plan.run_costs, plan.teacher_costs):
        assert of(variant) == of(row)
    assert plan.training("dolly", variant.method) == plan.training("dolly", method)
    own, other = (plan.depends("dolly", name) for name in (method, variant.method))
    assert {key for key in own if own[key] != other[key]} == {"answers"}


def test_a_variant_is_asked_as_it_says(plan):
    def asking(method):
        return json.loads(plan.prediction_settings("dolly", method))["asking"]

    assert asking("sft")["answers"]["sampling"] and not asking("sft-greedy")["answers"]["sampling"]
    assert asking("sft-greedy")["prompt"] == asking("sft")["prompt"]
    assert asking("sft-alpaca")["prompt"]["text"][1].startswith("Below is an instruction")
    assert asking("sft-alpaca")["answers"] == asking("sft")["answers"]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({}, r"variants.x: it asks as its study does; give a `prompt` or `answers` that differ"),
        ({"answers": {"sampling": True}}, "it asks as its study does"),
        ({"answers": {"seed": 1}}, r"variants.x.answers: `seed` is not defined in the settings of such answers"),
        ({"answers": {"temperature": -1}}, r"variants.x.answers.temperature: Input should be greater"),
        ({"answers": {"bertscore": {}}}, r"`bertscore` changes no answer; set it in `studies.dolly.answers`"),
        ({"prompt": "rationale"}, r"variants.x.prompt: `rationale` is not defined in the prompts of `dolly`"),
        ({"prompt": "alpaca", "methods": ["kd"]}, r"variants.x.methods: `kd` is not defined in the study's rows"),
        ({"prompt": "alpaca", "rows": 1}, r"unknown key `studies.dolly.variants.x.rows`"),
    ],
)
def test_a_variant_that_says_nothing_or_nonsense_is_refused(variant, message):
    with pytest.raises(UserError, match=message):
        check(given(x=variant))


def test_a_variant_takes_no_name_of_a_checkpoint():
    config = given(x={"prompt": "alpaca"})
    config["studies"]["dolly"]["checkpoints"] = {"sft-x": {"model": "demo-student"}}
    with pytest.raises(UserError, match=r"a variant would be called `sft-x`, as a checkpoint is"):
        check(config)

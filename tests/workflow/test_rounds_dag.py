"""What is planned where students answer in rounds, and what a change runs again."""

import pytest

from pipestill.plan.check import check
from support.configurations import smoke
from support.rules import read_rules

TARGET = ["results/dolly_gkd/eval.json"]


def configuration(rounds=2, training=(), distributions=(), **on_policy):
    config = smoke()
    own = {"rounds": rounds, **on_policy}
    gkd = {"init": "base", "divergence": {"teacher": "cached", "temperature": 2.0, "on_policy": own}, **dict(training)}
    study = {"methods": ["sft", "todi", "gkd"], "overrides": {"gkd": gkd}, "compress": {}, "seeds": [1]}
    config["studies"]["dolly"] |= study
    config["studies"]["dolly"]["distributions"] = {"k": 8, "shards": 2, **dict(distributions)}
    return check(config)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    with read_rules(tmp_path_factory.mktemp("rules"), smoke()) as found:
        yield found


def of_gkd(jobs):
    """Jobs of the rounds by rule, with what tells one from another."""
    found = {}
    for (rule, wildcards), job in jobs.items():
        told = dict(wildcards)
        if rule in ("own_answers", "train") or told.get("store", "").startswith("own"):
            place = told.get("round") or told.get("part") or told.get("store")
            found.setdefault(rule, {})[place, told.get("shard")] = job
    return found


def test_each_round_answers_scores_and_trains_on_what_the_one_before_left(rules):
    found = of_gkd(rules.jobs(configuration(), TARGET))
    run, teachers = "results/dolly_gkd/seed_1", "results/teachers/dolly"
    assert set(found) == {"own_answers", "teacher_distributions_shard", "teacher_distributions", "train"}
    assert set(found["own_answers"]) == {("1", None), ("2", None)}
    assert f"{run}/round_1/model" in found["own_answers"]["2", None].inputs
    stores = [f"own/gkd/seed_1/round_{number}" for number in (1, 2)]
    assert set(found["teacher_distributions_shard"]) == {(store, shard) for store in stores for shard in "01"}
    for number, store in enumerate(stores, 1):
        inputs = found["teacher_distributions_shard"][store, "0"].inputs
        assert f"{run}/round_{number}/answers.jsonl" in inputs and "results/teachers/dolly/model" in inputs
    first, last = found["train"]["/round_1", None].inputs, found["train"][None, None].inputs
    assert f"{teachers}/model" not in first | last  # no training job loads the teacher
    for number, inputs in ((1, first), (2, last)):
        own = {f"{run}/round_{number}/answers.jsonl", f"{teachers}/{stores[number - 1]}/manifest.json"}
        assert own | {f"{teachers}/distributions/manifest.json"} <= inputs
    assert f"{run}/round_1/model" in last and not any("round_2" in path for path in first)


def test_costs_of_all_jobs_of_a_run_are_the_cost_of_its_training(rules):
    jobs = rules.jobs(configuration(rounds=3), TARGET)
    (evaluated,) = (job for (rule, told), job in jobs.items() if rule == "evaluate" and ("method", "gkd") in told)
    found = {path.removeprefix("results/") for path in evaluated.inputs if path.endswith("cost.json")}
    run, own = "dolly_gkd/seed_1", "teachers/dolly/own/gkd/seed_1"
    expected = {f"{run}/round_{number}/answers_cost.json" for number in (1, 2, 3)}
    expected |= {f"{own}/round_{number}/shard_{shard}_cost.json" for number in (1, 2, 3) for shard in (0, 1)}
    expected |= {f"{run}/round_1/cost.json", f"{run}/round_2/cost.json", f"{run}/cost.json"}
    assert expected <= found
    assert {path for path in found if "gkd" in path} == expected


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"sampling": {"temperature": 0.7}}, {"own_answers"}),
        ({"training": {"learning_rate": 0.3}}, {"train"}),
        ({"distributions": {"k": 9}}, {"teacher_distributions_shard"}),
        ({"rounds": 3}, {"own_answers"}),
    ],
)
def test_a_change_runs_what_it_concerns_again(rules, change, first):
    """Answers before the first round do not depend on how is learnt, nor do those of any on what is stored of them."""
    before, after = rules.jobs(configuration(), TARGET), rules.jobs(configuration(**change), TARGET)
    anew, at_first = rules.anew(before, after)
    assert {name[0] for name in at_first & before.keys()} == first
    again = {name for name, told in of_gkd({key: after[key] for key in anew}).get("own_answers", {})}
    asked = "sampling" in change or "rounds" in change
    assert ("1" in again) == asked and "2" in again

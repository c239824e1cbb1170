"""JSON from a model that knows nothing: held to the schema and free, its scores, and what the report says of it."""

import json
from pathlib import Path

import pytest

from pipestill.answers.json import score
from pipestill.answers.json.entry import details_of, joined
from pipestill.answers.json.show import field_tables, part_rows, warnings
from pipestill.inference.by_hand import Predictor
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.target import find_target
from pipestill.io.files import write_json, write_text
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job.versions import versions
from pipestill.reporting.collect import collect
from pipestill.settings.evaluation import Experiment
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS
from pipestill.tasks.idp.synthetic import generate
from support.asking import asking_about
from support.models import make_directory
from support.reports import evaluate_arguments, plain, script, write_queries

IDP = TASKS["idp"]
SETS = ["known", "unseen"]
LIMITS = {"max_prompt_tokens": 400, "max_new_tokens": 160}
SHOP = {"type": "object", "properties": {"open": {"type": "boolean"}}, "required": ["open"]}


def asked(size=4):
    rows, _ = generate({"train": 1, "known": size, "unseen": size}, seed=3)
    for name in SETS:
        for number, row in enumerate(rows[name]):
            example = IDP.parse(row)
            texts = (dict(example.inputs), example.target, [example.target], name)
            yield Record(f"{name}-{number}", "test", *texts, subset=example.subset)


def settings(**answers) -> PredictionSettings:
    common = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "1"}
    asking = asking_about("idp", answers=answers, **LIMITS)
    return PredictionSettings(asking=asking, data={"max_chars": 600}, **common)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("results") / "models/base", initializer_range=0.3)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "cropped.jsonl"
    write_jsonl(path, list(asked()))
    return path


def predict(directory: Path, base: Path, records: Path, **answers) -> Path:
    output = directory / "idp_base/predictions"
    predict_experiment(settings(**answers), Runs(base, {0: None}), records, directory / "state", output, threads=1)
    return output


def runs_of(predictions: Path, **answers):
    experiment = Experiment.model_construct(test_sets=SETS, answers=answers)
    return score.runs(IDP, experiment, predictions, {})


@pytest.fixture(scope="module")
def held(base, records):
    return predict(base.parents[1], base, records)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, base, records):
    return predict(tmp_path_factory.mktemp("drawn"), base, records, sampling=True, sampling_seeds=[10, 20])


@pytest.mark.parametrize("name", ["held", "drawn"])
def test_every_answer_that_is_held_to_the_schema_is_valid(name, request):
    rows = read_jsonl(request.getfixturevalue(name) / "seed_0/predictions.jsonl")
    assert len(rows) == (8 if name == "held" else 16)
    assert len({row["prediction"] for row in rows}) > len(rows) / 2
    for row in rows:
        value = json.loads(row["prediction"])
        assert IDP.answers.schema.validate(value) == []
        assert list(value) == list(IDP.answers.schema.content["properties"])
    [run] = runs_of(request.getfixturevalue(name)).values()
    assert run.metrics["schema_valid"].estimate() == 1
    assert run.metrics["field_f1"].estimate() < 0.3
    assert run.metrics["exact_match"].estimate() == 0


def test_free_answers_need_not_be_json(tmp_path, base, records):
    predictions = predict(tmp_path, base, records, decoding="free")
    [run] = runs_of(predictions, decoding="free").values()
    assert run.metrics["schema_valid"].estimate() == 0
    assert run.metrics["field_f1"].estimate() == 0
    assert sum(part["not_json"] for part in run.details()["parts"]) == 8


def test_another_schema_can_be_asked_for(tmp_path, base, records):
    predictions = predict(tmp_path, base, records, schema=SHOP)
    rows = read_jsonl(predictions / "seed_0/predictions.jsonl")
    assert {row["prediction"] for row in rows} <= {'{"open": true}', '{"open": false}'}
    [run] = runs_of(predictions, schema=SHOP).values()
    assert run.metrics["schema_valid"].estimate() == 1


def test_a_prompt_by_hand_is_answered_by_the_schema(held, records):
    run = find_target("idp_base", held.parents[1], "idp")
    document = next(asked()).inputs
    reply = Predictor(run).reply(document)
    assert reply["faults"] == []
    assert reply["prediction"] == read_jsonl(held / "seed_0/predictions.jsonl")[0]["prediction"]
    short = Predictor(run, {"schema": SHOP}).reply(document)
    assert short["prediction"] in ('{"open": true}', '{"open": false}')
    free = Predictor(run, {"decoding": "free"}).reply(document)
    assert len(free["faults"]) == 1 and "not JSON" in free["faults"][0]


RIGHT, WRONG = {"total": 5, "kind": "order"}, {"total": 6, "kind": "order"}


def write_answers(directory: Path, outputs: dict[str, object]) -> None:
    """Predictions of a run with given answers to ``known-0``, ``known-1`` and ``unseen-0``."""
    subsets = {"known-0": "table", "known-1": "mail", "unseen-0": "note"}
    rows = [
        {
            **{"id": key, "split": "test", "test_set": key.split("-")[0], "subset": subsets[key]},
            **{"sampling_seed": None, "references": [json.dumps(RIGHT)]},
            "prediction": output if isinstance(output, str) else json.dumps(output),
        }
        for key, output in outputs.items()
    ]
    write_jsonl(directory / "predictions.jsonl", rows)
    write_queries(directory, written=40)


def test_counts_of_runs_by_hand(tmp_path):
    write_answers(tmp_path / "seed_1", {"known-0": RIGHT, "known-1": WRONG | {"number": "A"}, "unseen-0": "no"})
    [run] = runs_of(tmp_path).values()
    found = {name: metric.estimate() for name, metric in run.metrics.items()}
    assert found["field_f1"] == pytest.approx(2 * 3 / (5 + 6))
    assert found["field_f1/known"] == pytest.approx(2 * 3 / (5 + 4))
    assert found["field_f1/unseen"] == 0
    assert (found["field_precision"], found["field_recall"]) == pytest.approx((3 / 5, 3 / 6))
    assert found["exact_match"] == pytest.approx((0.5 + 0) / 2)
    assert found["schema_valid"] == 0  # by the task's own schema
    parts = run.details()["parts"]
    assert [(part["test_set"], part["subset"]) for part in parts] == [
        ("known", "table"),
        ("known", "mail"),
        ("unseen", "note"),
    ]
    assert parts[1]["fields"] == {"total": [0, 1, 1], "kind": [1, 1, 1], "number": [0, 1, 0]}
    assert (parts[2]["not_json"], parts[2]["exact"], parts[0]["exact"]) == (1, 0, 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of which the untrained student and two runs of SFT were evaluated, and its directory."""
    root = tmp_path_factory.mktemp("results")
    write_answers(root / "idp_base/predictions/seed_0", {"known-0": WRONG, "known-1": "no", "unseen-0": {}})
    answered = {"known-0": RIGHT, "known-1": RIGHT, "unseen-0": WRONG}
    for seed in (1, 2):
        write_answers(root / f"idp_sft/predictions/seed_{seed}", answered | ({"unseen-0": RIGHT} if seed == 2 else {}))
        model = root / f"idp_sft/seed_{seed}/model"
        write_jsonl(model / "history.jsonl", [{"step": 1, "epoch": 1.0, "loss": 1.0}])
        write_text(model / "SHA256SUMS", "0" * 64 + "  model.safetensors\n")
        cost = {"wall_s": 9.0, "cpu_s": 8.0, "peak_memory_mb": 700.0, "gpu_memory_mb": None, "tokens": 5}
        write_json(model.parent / "cost.json", cost)
        write_json(model / "profile.json", {"trainable_parameters": 9, "total_parameters": 9})
    write_json(root / "models/demo-student/profile.json", {"trainable_parameters": 0, "total_parameters": 9})
    write_text(root / "models/demo-student/SHA256SUMS", "0" * 64 + "  model.safetensors\n")
    write_jsonl(root / "data/idp/train.jsonl", [{"id": "1"}])
    write_jsonl(root / "data/idp/cropped.jsonl", [{"id": key, "split": "test"} for key in answered])
    for method, seeds in (("base", [0]), ("sft", [1, 2])):
        directory = root / f"idp_{method}/predictions"
        cost = {"wall_s": 9.0, "cpu_s": 8.0, "peak_memory_mb": 700.0, "gpu_memory_mb": None, "tokens": None}
        write_json(directory / "cost.json", cost)
        write_json(directory / "versions.json", versions())
        write_json(directory / "hardware.json", {"device": "cpu", "precision": "fp32", "threads": 1, "notes": []})
        described = {"task": "idp", "test_sets": SETS, "answers": {"decoding": "constrained"}}
        script("evaluate", evaluate_arguments(root, "idp", method, seeds, **described))
    evaluations = [root / f"idp_{method}/eval.json" for method in ("base", "sft")]
    write_text(root / "config.yaml", "run: [idp]\n")
    config = ["--config", str(root / "config.yaml"), "--output-dir", str(root / "report")]
    script("report", ["--evals", *map(str, evaluations), *config])
    return collect(evaluations)[0], root


def test_scores_are_read_back(study):
    found, _ = study
    for experiment in found.experiments:
        for run, entry in zip(experiment.runs.values(), experiment.evaluation.runs, strict=True):
            assert run.metrics["field_f1"].estimate() == pytest.approx(entry.metrics["field_f1"])
    assert found.get("sft").mean("field_f1") == pytest.approx((2 * 5 / 12 + 1) / 2)


def test_tables_of_fields_and_parts(study):
    found, _ = study
    known, unseen = field_tables(found)
    assert (known.title, [path for path, *_ in known.rows]) == ("known", ["kind", "total"])
    _, (_, expected, (base, sft)) = known.rows
    assert expected == 2
    assert (base.f1, base.precision, base.recall) == pytest.approx((0, 0, 0))
    assert (sft.f1, sft.precision, sft.recall) == pytest.approx((1, 1, 1))
    _, _, (base, sft) = unseen.rows[1]
    assert base.precision is None and sft.f1 == pytest.approx(0.5)
    rows = part_rows(found)
    assert [part.subset for part, _ in rows] == ["table", "mail", "note"]
    assert [each.exact for each in rows[2][1]] == [0, 1]
    wholes = joined(details_of(found.get("sft").evaluation.runs[0]).parts, lambda part: (None, None))
    assert (wholes[0].answers, wholes[0].exact, wholes[0].not_json) == (3, 2, 0)


def test_answers_that_are_not_valid_though_they_were_held_to_the_schema_are_a_warning(study):
    assert warnings(study[0])[0].startswith("Base: 3 answers are not valid by the schema, as they were cut")


def test_page_and_card(study):
    _, root = study
    page = plain((root / "report/index.html").read_text())
    assert "Fields test set field gold" in page and "Parts of the test sets" in page
    assert "an answer that is not JSON finds none" in page and "known" in page and "mail" in page
    card = (root / "idp_sft/README.md").read_text()
    assert "greedy; only tokens that the schema allows are taken" in card
    assert "known (2), unseen (1)" in card
    assert "field F1, field precision and field recall are of all answers together" in card

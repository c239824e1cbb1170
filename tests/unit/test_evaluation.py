"""From predictions to eval.json and the model card, and what is said about files that are wrong."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from pipestill.errors import UserError
from pipestill.evaluation.cost import annotation_cost, combined_cost, cost, predict_cost
from pipestill.evaluation.labels import load_label_runs
from pipestill.evaluation.model_card import model_card
from pipestill.evaluation.provenance import git_commit, provenance
from pipestill.evaluation.record import evaluation_record
from pipestill.evaluation.runs import read_histories
from pipestill.io.files import read_json, sha256, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from support.reports import LABELS, evaluate_arguments, script, write_tree

EVALUATE = str(Path(__file__).parents[2] / "workflow_scripts" / "evaluate.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    for method, seeds in write_tree(root, n_per_class=60).items():
        script("evaluate", evaluate_arguments(root, "creditmix", method, seeds))
    return root


def test_evaluation_follows_from_the_predictions(tree):
    evaluation = read_json(tree / "creditmix_sft/eval.json")
    per_seed = []
    for seed in (1, 2, 3):
        rows = read_jsonl(tree / f"creditmix_sft/predictions/seed_{seed}/predictions.jsonl")
        test = [row for row in rows if row["split"] == "test"]
        per_seed.append(f1_score([row["label"] for row in test], [row["prediction"] for row in test], average="macro"))
        probabilities = [[row["probabilities"][label] for label in sorted(LABELS)] for row in test]
        run = evaluation["runs"][seed - 1]
        assert run["seed"] == seed and run["n_test"] == len(test) == evaluation["n_test"]
        expected = log_loss([row["label"] for row in test], probabilities, labels=sorted(LABELS))
        assert run["metrics"]["nll"] == pytest.approx(expected, abs=1e-9)
        assert run["metrics"]["label_mass"] == pytest.approx(np.mean([row["label_mass"] for row in test]))
        assert run["calibrations"][run["calibration"]]["macro_f1"] == pytest.approx(per_seed[-1], abs=1e-12)
        assert np.sum(run["confusion"]["matrix"]) == len(test)
        assert len(run["history"]) == 25
    summary = evaluation["metrics"]["macro_f1"]
    assert summary["per_seed"] == pytest.approx(per_seed, abs=1e-12)
    assert summary["mean"] == pytest.approx(np.mean(per_seed)) and summary["sd"] == pytest.approx(
        np.std(per_seed, ddof=1)
    )
    assert summary["ci95"][0] < summary["mean"] < summary["ci95"][1]


def test_other_calibrations_are_recomputed_from_raw_scores(tree):
    directory = tree / "creditmix_kd/predictions/seed_2"
    rows = [row for row in read_jsonl(directory / "predictions.jsonl") if row["split"] == "test"]
    run = read_json(tree / "creditmix_kd/eval.json")["runs"][1]
    for name, prior in read_json(directory / "calibration.json")["priors"].items():
        predicted = [max(LABELS, key=lambda label: row["raw_scores"][label] - prior[label]) for row in rows]
        expected = f1_score([row["label"] for row in rows], predicted, average="macro")
        assert run["calibrations"][name]["macro_f1"] == pytest.approx(expected, abs=1e-12), name


def test_evaluation_of_the_untrained_student(tree):
    evaluation = read_json(tree / "creditmix_base/eval.json")
    assert evaluation["seeds"] == [0] and evaluation["metrics"]["macro_f1"]["sd"] is None
    assert evaluation["n_train"] == 0 and evaluation["cost"]["train"] is None
    assert evaluation["cost"]["trainable_parameters"] == 0 and evaluation["cost"]["total_parameters"] == 1_049_000
    assert evaluation["runs"][0]["history"] == []


def test_evaluation_is_repeatable(tree):
    before = (tree / "creditmix_sft/eval.json").read_bytes()
    script("evaluate", evaluate_arguments(tree, "creditmix", "sft", [1, 2, 3]))
    assert (tree / "creditmix_sft/eval.json").read_bytes() == before


def test_record_is_what_the_script_writes(tree):
    arguments = evaluate_arguments(tree, "creditmix", "sft", [1, 2, 3])
    description = json.loads(arguments[arguments.index("--experiment") + 1])
    places = [tree / f"creditmix_sft/seed_{seed}" for seed in (1, 2, 3)]
    record, runs = evaluation_record(
        description,
        tree / "creditmix_sft/predictions",
        tree / "models/demo-student",
        [tree / "data/creditmix/cropped.jsonl", tree / "data/creditmix/train.jsonl"],
        models=[place / "model" for place in places],
        train_costs=[place / "cost.json" for place in places],
    )
    assert record == read_json(tree / "creditmix_sft/eval.json")
    assert record["n_train"] == 600 and record["bootstrap"] == {"resamples": 2000, "seed": 0}
    seconds = [read_json(place / "cost.json")["cpu_s"] for place in places]
    assert record["cost"]["train"]["cpu_s"] == pytest.approx(np.mean(seconds))
    assert record["cost"]["predict"]["cpu_s"] == pytest.approx(6.0)  # a third of the job, which took 18 s
    assert len(record["provenance"]["data_sha256"]) == 2 and len(record["provenance"]["model_sha256"]) == 4
    rows = read_jsonl(tree / "creditmix_sft/scores.jsonl")
    assert [(row["seed"], row["id"]) for row in rows] == [(seed, id) for seed in runs for id in runs[seed].ids]
    for name in ("accuracy", "nll", "brier", "label_mass"):
        values = [np.mean([row[name] for row in rows if row["seed"] == seed]) for seed in runs]
        assert values == pytest.approx(record["metrics"][name]["per_seed"], abs=1e-12)
    assert model_card(record) == (tree / "creditmix_sft/README.md").read_text()


def test_model_card(tree):
    card = (tree / "creditmix_sft/README.md").read_text()
    evaluation = read_json(tree / "creditmix_sft/eval.json")
    assert card.startswith("# creditmix_sft\n")
    assert f"| macro F1 | {evaluation['metrics']['macro_f1']['mean']:.3f} |" in card
    assert "synthetic data" in card and "600" in card
    assert all(digest in card for digest in evaluation["provenance"]["model_sha256"].values())


def test_cost():
    jobs = [
        {"wall_s": 10.0, "cpu_s": 9.0, "peak_memory_mb": 500.0, "gpu_memory_mb": None, "tokens": 100},
        {"wall_s": 20.0, "cpu_s": 11.0, "peak_memory_mb": 700.0, "gpu_memory_mb": None, "tokens": 300},
    ]
    expected = {"wall_s": 15, "cpu_s": 10, "peak_memory_mb": 700, "gpu_memory_mb": None, "tokens": 200}
    assert combined_cost(jobs, mean) == expected
    assert combined_cost(jobs, sum)["cpu_s"] == sum(job["cpu_s"] for job in jobs)
    assert combined_cost(jobs, sum)["peak_memory_mb"] == expected["peak_memory_mb"]
    assert combined_cost([], sum) is None
    assert predict_cost(jobs[1], 2) == {**jobs[1], "wall_s": 10, "cpu_s": 5.5, "tokens": 150}


def test_cost_of_a_job_that_did_not_write_it(tree, tmp_path):
    with pytest.raises(UserError, match=r"cost\.json does not exist"):
        cost([], [], tmp_path, 1, tree / "models/demo-student", [])
    write_json(tmp_path / "cost.json", {"wall_s": 1})
    with pytest.raises(UserError, match="is not the cost of a job"):
        cost([], [], tmp_path, 1, tree / "models/demo-student", [])


def test_usage_of_an_annotation_that_annotate_did_not_write(tmp_path):
    write_json(tmp_path / "usage.json", {"records": 1})
    with pytest.raises(UserError, match=r"usage\.json is not the usage of an annotation: run annotate again"):
        annotation_cost({"provider": "local", "model": "x"}, tmp_path / "usage.json", None)


def test_provenance(tree, tmp_path):
    predictions = tree / "creditmix_sft/predictions"
    data = tree / "data/creditmix/cropped.jsonl"
    recorded = provenance("abc", [data], [tree / "models/demo-student"], predictions)
    assert recorded["config_sha256"] == "abc" and recorded["data_sha256"] == {str(data): sha256(data)}
    sums = tree / "models/demo-student/SHA256SUMS"
    assert recorded["model_sha256"] == {str(sums): sha256(sums)} and recorded["hardware"]["device"] == "cpu"
    assert recorded["versions"]["numpy"] == np.__version__
    with pytest.raises(UserError, match=r"absent\.jsonl does not exist"):
        provenance("abc", [tmp_path / "absent.jsonl"], [], predictions)


def test_git_commit(tmp_path):
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    clean = git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "untracked").write_text("")
    assert git_commit(tmp_path) == clean
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{clean}-dirty"


def test_histories_belong_to_their_seeds(tree):
    models = [tree / f"creditmix_sft/seed_{seed}/model" for seed in (3, 1)]
    histories = read_histories(models, [1, 3])
    assert histories[3] == read_jsonl(models[0] / "history.jsonl") and set(histories) == {1, 3}
    assert set(read_histories([tree / "teachers/creditmix/model"], [1])) == {1}
    with pytest.raises(UserError, match="not the model of any of the predicted runs"):
        read_histories(models, [1, 2])


@pytest.fixture
def predictions(tree, tmp_path):
    """Predictions of two runs, to be broken."""
    for seed in (1, 2):
        for name in ("predictions.jsonl", "calibration.json"):
            target = tmp_path / f"seed_{seed}" / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((tree / f"creditmix_sft/predictions/seed_{seed}" / name).read_bytes())
    return tmp_path


def change(path: Path, line: int, **values) -> None:
    rows = read_jsonl(path)
    rows[line - 1].update(values)
    write_jsonl(path, rows)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": "Odd"}, "line 100: the label 'Odd' is none of Good, Standard, Bad"),
        ({"prediction": None}, "line 100: the prediction None is none of"),
        ({"raw_scores": {"Good": 1.0}}, "line 100: raw_scores must give one number for each of the labels"),
        ({"raw_scores": {"Good": "1", "Standard": 0, "Bad": 0}}, "line 100: raw_scores holds something that is not"),
        ({"label_mass": None}, "line 100: label_mass holds something that is not a finite number"),
    ],
)
def test_broken_row(predictions, values, message):
    change(predictions / "seed_2/predictions.jsonl", 100, **values)
    with pytest.raises(UserError, match=message) as error:
        load_label_runs(predictions, LABELS)
    assert "seed_2/predictions.jsonl" in str(error.value)


def test_row_without_a_field(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    rows = read_jsonl(path)
    del rows[69]["raw_scores"]
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=r"seed_1/predictions\.jsonl, line 70: raw_scores is missing"):
        load_label_runs(predictions, LABELS)


def test_torn_line(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"predictions\.jsonl, line 180: not valid JSON"):
        load_label_runs(predictions, LABELS)


def test_repeated_id(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    change(path, 180, id=read_jsonl(path)[170]["id"])
    with pytest.raises(UserError, match=r"line 180: the id 'creditmix-00170' occurs a second time"):
        load_label_runs(predictions, LABELS)


def test_id_of_one_seed_only(predictions):
    path = predictions / "seed_2/predictions.jsonl"
    write_jsonl(path, read_jsonl(path)[:-1])
    with pytest.raises(UserError, match=r"seed_1/.* has the test example 'creditmix-00179' and .*seed_2"):
        load_label_runs(predictions, LABELS)


def test_gold_labels_that_differ(predictions):
    path = predictions / "seed_2/predictions.jsonl"
    gold = read_jsonl(path)[99]["label"]
    change(path, 100, label=next(label for label in LABELS if label != gold))
    with pytest.raises(UserError, match="disagree on 'creditmix-00099', which is"):
        load_label_runs(predictions, LABELS)


def test_no_test_rows(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    write_jsonl(path, [row for row in read_jsonl(path) if row["split"] == "validation"])
    with pytest.raises(UserError, match="holds no row of the test split"):
        load_label_runs(predictions, LABELS)


def test_calibration_of_another_run(predictions):
    path = predictions / "seed_1/calibration.json"
    calibration = read_json(path)
    calibration["priors"][calibration["chosen"]] = {"Good": 9.0, "Standard": 0.0, "Bad": 0.0}
    write_json(path, calibration)
    with pytest.raises(UserError, match="is not the label that ranks first under"):
        load_label_runs(predictions, LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is not a calibration file"),
        ({"priors": {"none": {"Good": 0}}, "chosen": "none"}, "priors.none must give one number"),
        ({"priors": {}, "chosen": "pmi", "configured": "auto", "validation": {}}, "'pmi' has no priors"),
    ],
)
def test_broken_calibration(predictions, content, message):
    write_json(predictions / "seed_1/calibration.json", content)
    with pytest.raises(UserError, match=message):
        load_label_runs(predictions, LABELS)


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="holds no predictions"):
        load_label_runs(tmp_path, LABELS)


def test_unknown_primary_metric(tree):
    arguments = evaluate_arguments(tree, "creditmix", "base", [0], primary_metric="rouge_l")
    with pytest.raises(UserError, match="primary_metric 'rouge_l' is none of accuracy, macro_f1"):
        script("evaluate", arguments)


def test_script_says_one_line_and_imports_nothing_heavy(tree, tmp_path):
    arguments = evaluate_arguments(tree, "creditmix", "base", [0])
    output, broken = arguments.index("--output") + 1, list(arguments)
    broken[broken.index("--predictions") + 1] = str(tmp_path)
    failed = subprocess.run([sys.executable, EVALUATE, *broken], capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1

    arguments[output] = str(tmp_path / "eval.json")
    arguments[arguments.index("--card") + 1] = str(tmp_path / "README.md")
    code = (
        "import runpy, sys, json; sys.argv = json.loads(sys.argv[1]); runpy.run_path(sys.argv[0])['main']();"
        "heavy = ('torch', 'pandas', 'sklearn', 'scipy', 'matplotlib', 'pipestill.reporting');"
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, json.dumps([EVALUATE, *arguments])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert (tmp_path / "eval.json").is_file()

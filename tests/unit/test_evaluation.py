"""From predictions to eval.json and the model card, and what is said about files that are wrong."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from pipestill.answers.labels import score
from pipestill.errors import UserError
from pipestill.evaluation.cost import annotation_cost, combined_cost, cost, predict_cost
from pipestill.evaluation.evaluate import evaluate
from pipestill.evaluation.evaluation import JobCost, read_evaluation
from pipestill.evaluation.inputs import Inputs
from pipestill.evaluation.model_card import model_card
from pipestill.evaluation.provenance import git_commit, provenance
from pipestill.evaluation.runs import check_all_answered, read_histories
from pipestill.evaluation.statistics import replicates
from pipestill.io.files import read_json, sha256, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.io.sequences import Texts
from pipestill.settings.evaluation import Annotator, Experiment
from pipestill.tasks import TASKS
from support.reports import LABELS, bootstrap, evaluate_arguments, script, write_tree

CREDITMIX = TASKS["creditmix"]
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
        gold = [row["references"][0] for row in test]
        per_seed.append(f1_score(gold, [row["prediction"] for row in test], average="macro"))
        probabilities = [[row["probabilities"][label] for label in sorted(LABELS)] for row in test]
        run = evaluation["runs"][seed - 1]
        assert run["seed"] == seed and run["n_test"] == len(test) == evaluation["n_test"]
        expected = log_loss(gold, probabilities, labels=sorted(LABELS))
        assert run["metrics"]["nll"] == pytest.approx(expected, abs=1e-9)
        assert run["metrics"]["label_mass"] == pytest.approx(np.mean([row["label_mass"] for row in test]))
        details = run["details"]
        assert details["calibrations"][details["calibration"]]["macro_f1"] == pytest.approx(per_seed[-1], abs=1e-12)
        assert np.sum(details["confusion"]["matrix"]) == len(test)
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
    run = read_json(tree / "creditmix_kd/eval.json")["runs"][1]["details"]
    for name, prior in read_json(directory / "calibration.json")["priors"].items():
        predicted = [max(LABELS, key=lambda label: row["raw_scores"][label] - prior[label]) for row in rows]
        expected = f1_score([row["references"][0] for row in rows], predicted, average="macro")
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


def test_evaluation_is_what_the_script_writes(tree):
    arguments = evaluate_arguments(tree, "creditmix", "sft", [1, 2, 3])
    experiment = Experiment.model_validate_json(arguments[arguments.index("--experiment") + 1])
    places = [tree / f"creditmix_sft/seed_{seed}" for seed in (1, 2, 3)]
    inputs = Inputs(
        predictions=tree / "creditmix_sft/predictions",
        base=tree / "models/demo-student",
        data=[tree / "data/creditmix/cropped.jsonl", tree / "data/creditmix/train.jsonl"],
        models=[place / "model" for place in places],
        train_costs=[place / "cost.json" for place in places],
    )
    evaluation, runs = evaluate(experiment, inputs)
    assert evaluation == read_evaluation(tree / "creditmix_sft/eval.json")
    assert evaluation.n_train == 600 and evaluation.bootstrap.resamples == 2000
    seconds = [read_json(place / "cost.json")["cpu_s"] for place in places]
    assert evaluation.cost.train.cpu_s == pytest.approx(np.mean(seconds))
    assert evaluation.cost.predict.cpu_s == pytest.approx(6.0)  # a third of the job, which took 18 s
    assert len(evaluation.provenance.data_sha256) == 2 and len(evaluation.provenance.model_sha256) == 4
    rows = read_jsonl(tree / "creditmix_sft/scores.jsonl")
    assert [(row["seed"], row["id"]) for row in rows] == [(seed, id) for seed in runs for id in runs[seed].ids]
    for name in ("accuracy", "nll", "brier", "label_mass"):
        values = [np.mean([row[name] for row in rows if row["seed"] == seed]) for seed in runs]
        assert values == pytest.approx(evaluation.metrics[name].per_seed, abs=1e-12)
    assert model_card(evaluation) == (tree / "creditmix_sft/README.md").read_text()


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
    jobs = [JobCost(**job) for job in jobs]
    expected = JobCost(wall_s=15, cpu_s=10, peak_memory_mb=700, gpu_memory_mb=None, tokens=200)
    assert combined_cost(jobs, mean) == expected
    assert combined_cost(jobs, sum).cpu_s == sum(job.cpu_s for job in jobs)
    assert combined_cost(jobs, sum).peak_memory_mb == expected.peak_memory_mb
    assert combined_cost([], sum) is None
    shared = {"wall_s": 10, "cpu_s": 5.5, "tokens": 150}
    assert predict_cost(jobs[1], 2) == JobCost(**{**jobs[1].model_dump(), **shared})


def test_cost_of_a_job_that_did_not_write_it(tree, tmp_path):
    inputs = Inputs(tmp_path, [], tree / "models/demo-student")
    with pytest.raises(UserError, match=r"cost\.json does not exist"):
        cost(inputs, 1)
    write_json(tmp_path / "cost.json", {"wall_s": 1})
    with pytest.raises(UserError, match="is not the cost of a job"):
        cost(inputs, 1)


def test_usage_of_an_annotation_that_annotate_did_not_write(tmp_path):
    write_json(tmp_path / "usage.json", {"records": 1})
    with pytest.raises(UserError, match=r"usage\.json is not the usage of an annotation: run annotate again"):
        annotation_cost(Annotator(provider="local", model="x"), Inputs(tmp_path, [], usage=tmp_path / "usage.json"))


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (range(26), r"seed_1\.jsonl answers 26 of the 30 test records of .*, and not '26'"),
        ((), "answers 0 of the 30 test records"),
        (range(31), r"answers '30', which is no test record of .*cropped\.jsonl"),
        ([*range(29), 99], "answers 29 of the 30 test records"),
    ],
)
def test_every_test_record_must_be_answered_and_no_other(tmp_path, ids, sentence):
    records = tmp_path / "cropped.jsonl"
    rows = [{"id": str(number), "split": "test"} for number in range(30)]
    write_jsonl(records, [*rows, {"id": "99", "split": "train"}])
    check_all_answered([SimpleNamespace(path="whole", ids=Texts(row["id"] for row in rows))], records)
    with pytest.raises(UserError, match=sentence):
        check_all_answered([SimpleNamespace(path="seed_1.jsonl", ids=Texts(map(str, ids)))], records)


def test_provenance(tree, tmp_path):
    predictions = tree / "creditmix_sft/predictions"
    data = tree / "data/creditmix/cropped.jsonl"
    recorded = provenance("abc", Inputs(predictions, [data], tree / "models/demo-student"))
    assert recorded.config_sha256 == "abc" and recorded.data_sha256 == {str(data): sha256(data)}
    sums = tree / "models/demo-student/SHA256SUMS"
    assert recorded.model_sha256 == {str(sums): sha256(sums)} and recorded.hardware["device"] == "cpu"
    assert recorded.versions["numpy"] == np.__version__
    with pytest.raises(UserError, match=r"absent\.jsonl does not exist"):
        provenance("abc", Inputs(predictions, [tmp_path / "absent.jsonl"]))


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


def runs_of(predictions: Path, test_sets=()):
    experiment = Experiment.model_construct(test_sets=list(test_sets))
    return score.runs(CREDITMIX, experiment, predictions, {})


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
        ({"references": ["Odd"]}, "line 100: the label 'Odd' is none of Good, Standard, Bad"),
        ({"prediction": None}, "line 100: the prediction None is none of"),
        ({"references": []}, "line 100: the label None is none of"),
        ({"test_set": "hans"}, "line 100: the test set 'hans' is none of None"),
        ({"raw_scores": {"Good": 1.0}}, "line 100: raw_scores must give one number for each of the labels"),
        ({"raw_scores": {"Good": "1", "Standard": 0, "Bad": 0}}, "line 100: raw_scores holds something that is not"),
        ({"label_mass": None}, "line 100: label_mass holds something that is not a finite number"),
    ],
)
def test_broken_row(predictions, values, message):
    change(predictions / "seed_2/predictions.jsonl", 100, **values)
    with pytest.raises(UserError, match=message) as error:
        runs_of(predictions)
    assert "seed_2/predictions.jsonl" in str(error.value)


def test_row_without_a_field(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    rows = read_jsonl(path)
    del rows[69]["raw_scores"]
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=r"seed_1/predictions\.jsonl, line 70: raw_scores is missing"):
        runs_of(predictions)


def test_torn_line(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"predictions\.jsonl, line 180: not valid JSON"):
        runs_of(predictions)


def test_repeated_id(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    change(path, 180, id=read_jsonl(path)[170]["id"])
    with pytest.raises(UserError, match=r"line 180: the id 'creditmix-00170' occurs a second time"):
        runs_of(predictions)


def test_id_of_one_seed_only(predictions):
    path = predictions / "seed_2/predictions.jsonl"
    write_jsonl(path, read_jsonl(path)[:-1])
    with pytest.raises(UserError, match=r"seed_1/.* has the test example 'creditmix-00179' and .*seed_2"):
        runs_of(predictions)


def test_gold_labels_that_differ(predictions):
    path = predictions / "seed_2/predictions.jsonl"
    gold = read_jsonl(path)[99]["references"][0]
    change(path, 100, references=[next(label for label in LABELS if label != gold)])
    with pytest.raises(UserError, match="disagree on 'creditmix-00099', which is"):
        runs_of(predictions)


def test_no_test_rows(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    write_jsonl(path, [row for row in read_jsonl(path) if row["split"] == "validation"])
    with pytest.raises(UserError, match="holds no row of the test split"):
        runs_of(predictions)


def test_calibration_of_another_run(predictions):
    path = predictions / "seed_1/calibration.json"
    calibration = read_json(path)
    calibration["priors"][calibration["chosen"]] = {"Good": 9.0, "Standard": 0.0, "Bad": 0.0}
    write_json(path, calibration)
    with pytest.raises(UserError, match="is not the label that ranks first under"):
        runs_of(predictions)


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
        runs_of(predictions)


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="holds no predictions"):
        runs_of(tmp_path)


def test_an_experiment_that_is_not_described_is_refused(tree, capsys):
    arguments = evaluate_arguments(tree, "creditmix", "base", [0], statistics={"resamples": 5})
    with pytest.raises(SystemExit):
        script("evaluate", arguments)
    assert "statistics.resamples: Input should be greater than or equal to 100" in capsys.readouterr().err


SETS = ("matched", "hans")


@pytest.fixture
def with_test_sets(predictions):
    """The same predictions, in which test examples belong to two test sets, neither in order."""
    for path in predictions.glob("*/predictions.jsonl"):
        rows = read_jsonl(path)
        for number, row in enumerate(rows):
            row["test_set"] = SETS[number % 3 == 0] if row["split"] == "test" else None
        write_jsonl(path, rows)
    return predictions


def test_labels_of_several_test_sets_are_measured_on_each_and_on_all_examples(with_test_sets):
    runs = runs_of(with_test_sets, SETS)
    for seed in runs:
        rows = [r for r in read_jsonl(with_test_sets / f"seed_{seed}/predictions.jsonl") if r["split"] == "test"]
        for name in (None, *SETS):
            own = [row for row in rows if name in (None, row["test_set"])]
            gold, predicted = [row["references"][0] for row in own], [row["prediction"] for row in own]
            suffix = f"/{name}" if name else ""
            expected = f1_score(gold, predicted, average="macro")
            assert runs[seed].metrics[f"macro_f1{suffix}"].estimate() == pytest.approx(expected, abs=1e-12)
            right = np.mean([one == other for one, other in zip(gold, predicted, strict=True)])
            assert runs[seed].metrics[f"accuracy{suffix}"].estimate() == pytest.approx(right, abs=1e-12)
        assert runs[seed].test_sets.sizes == {"matched": 80, "hans": 40}
        assert list(runs[seed].test_sets.of_examples) == ["matched"] * 80 + ["hans"] * 40
        assert "label_mass/hans" not in runs[seed].metrics
    samples = replicates([run.metrics for run in runs.values()], bootstrap(200))
    parts = samples["accuracy/matched"] * 80 + samples["accuracy/hans"] * 40
    np.testing.assert_allclose(samples["accuracy"], parts / 120)  # each set keeps its size in every resample


def test_test_sets_of_labels_leave_their_metrics_of_all_examples_as_they_are(with_test_sets, tree):
    before = score.measured(CREDITMIX, [], tree / "creditmix_sft")
    for seed, run in runs_of(with_test_sets, SETS).items():
        for name, metric in before[seed].metrics.items():
            assert run.metrics[name].estimate() == pytest.approx(metric.estimate(), abs=1e-12)


def test_a_test_set_that_is_not_known_is_refused(with_test_sets):
    with pytest.raises(UserError, match="the test set 'hans' is none of matched"):
        runs_of(with_test_sets, ["matched"])


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
        "heavy = ('torch', 'pandas', 'sklearn', 'scipy', 'matplotlib', 'pipestill.reporting', 'jinja2');"
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, json.dumps([EVALUATE, *arguments])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "eval.json").is_file()

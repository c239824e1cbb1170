"""Learning curves: studies at shares of their rows, the rows that they take, the figure and its table."""

import csv
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import Record, write_jsonl
from pipestill.methods import METHODS
from pipestill.objectives.training_file import made_rows, separated
from pipestill.plan.check import check
from pipestill.plan.experiments import Experiments
from pipestill.plan.shares import at_share, origin, with_shares
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import compare, find
from pipestill.reporting.figures.canvas import colour_of
from pipestill.reporting.figures.metrics import cost
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS
from support import reports
from support.reports import evaluate_arguments, script, write_tree

ROOT = Path(__file__).parents[2]
TRAINED = ("sft", "kd", "dpo")
ROWS = {0.25: 150, 0.5: 300, 1.0: 600}


@pytest.fixture
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_every_study_is_derived_at_every_share(default):
    default["studies"]["creditmix"] |= {"learning_curve": [0.07, 0.125, 1], "train_share": 0.5}
    config = check(default)
    derived = with_shares(config)
    others = default["studies"].keys() - {"creditmix"}
    shares = {name: study.train_share for name, study in derived.studies.items()}
    assert shares == {
        **{"creditmix@7": 0.035, "creditmix@12.5": 0.0625, "creditmix": 0.5},
        **{f"{study}@{percent}": percent / 100 for study in others for percent in (25, 50)},
        **dict.fromkeys(others, 1.0),
    }
    assert {origin(name) for name in shares} == set(config.studies)
    for name, study in derived.studies.items():
        own = config.studies[origin(name)]
        assert study.model_dump(exclude={"train_share"}) == own.model_dump(exclude={"train_share"})
    assert derived.run == config.run
    assert Experiments(derived).experiments == Experiments(config).experiments
    assert "@" not in config.model_dump_json(include={"studies"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"learning_curve": [0.5, 0.25, 1]}, "studies.creditmix: shares of a `learning_curve` ascend and end with 1"),
        ({"learning_curve": [0.5, 0.5, 1]}, "shares of a `learning_curve` ascend and end with 1"),
        ({"learning_curve": [0.25, 0.5]}, "shares of a `learning_curve` ascend and end with 1"),
        ({"learning_curve": []}, r"`studies.creditmix.learning_curve` is \[\]"),
        ({"learning_curve": [0, 1]}, "`studies.creditmix.learning_curve.0` is 0"),
        ({"train_share": 0}, "`studies.creditmix.train_share` is 0"),
        ({"train_share": 1.5}, "`studies.creditmix.train_share` is 1.5"),
    ],
)
def test_shares_that_make_no_curve_are_refused(default, change, sentence):
    default["studies"]["creditmix"] |= change
    with pytest.raises(UserError, match=sentence):
        check(default)


def test_no_study_of_a_configuration_has_a_derived_name(default):
    default["studies"]["creditmix@25"] = default["studies"]["creditmix"]
    with pytest.raises(UserError, match="names consist of"):
        check(default)


def test_a_share_is_a_setting_of_students_and_of_nothing_else(default):
    plain = Experiments(check(default))
    derived = Experiments(with_shares(plain.config))
    for method in ("base", *TRAINED, "teacher"):
        whole, part = (derived.experiment(name, method) for name in ("creditmix", "creditmix@25"))
        assert whole == plain.experiment("creditmix", method)
        assert "train_share" not in whole.settings
        if method in TRAINED:
            assert part.settings == {**whole.settings, "train_share": 0.25}
            assert "Students were trained on 25 % of the training rows." in part.notes
        else:
            assert (part.settings, part.notes) == (whole.settings, whole.notes)
    assert derived.training("creditmix@25", "dpo") == plain.training("creditmix", "dpo")


@pytest.mark.parametrize(
    ("task", "rows", "sizes"),
    [("creditmix", None, (3, 21, 42, 84)), ("creditmix", 60, (3, 15, 30, 60)), ("dolly", None, (1, 23, 46, 91))],
)
def test_a_share_of_the_rows_is_a_subset_of_a_larger_one(task, rows, sizes):
    targets = ("Good", "Standard", "Bad", "Good") if task == "creditmix" else ("t",)
    count = {"creditmix": 112, "dolly": 91}[task]  # 28 of the rarer labels

    def record(number, split):
        target = targets[number % len(targets)]
        return Record(f"{split}{number}", split, dict.fromkeys(TASKS[task].inputs, "p"), target, [target])

    records = [record(number, "train") for number in range(count)] + [
        record(number, "validation") for number in range(9)
    ]

    def taken(share):
        settings = TrainingFileSettings(
            task=task, prompt=TASKS[task].prompts["answer"], method="sft", rows=rows, seed=1, share=share
        )
        train, validation = separated(made_rows(TASKS[task], METHODS["sft"].objective, settings, records, None, None))
        assert len(validation) == 9
        return [row["id"] for row in train]

    by_share = [taken(share) for share in (0.001, 0.25, 0.5, 1.0)]
    assert tuple(map(len, by_share)) == sizes
    for smaller, larger in pairwise(by_share):
        assert set(smaller) < set(larger)
    target_of = {record.id: record.target for record in records}
    for ids in by_share:
        counts = [sum(target_of[each] == target for each in ids) for target in set(targets)]
        assert len(set(counts)) == 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Results of a study at three shares: the more rows, the more skill."""
    root = tmp_path_factory.mktemp("results")
    as_it_was = dict(reports.METHODS)
    for share, rows in ROWS.items():
        name = at_share("creditmix", share)
        reports.METHODS |= {
            method: (skill * share if method in TRAINED else skill, *rest)
            for method, (skill, *rest) in as_it_was.items()
        }
        runs = write_tree(root, name, n_per_class=90)
        write_jsonl(root / f"data/{name}/train.jsonl", [{"id": str(number)} for number in range(rows)])
        for method in (*(["base"] if share == 1 else []), *TRAINED):
            script("evaluate", evaluate_arguments(root, name, method, runs[method]))
    reports.METHODS |= as_it_was
    return root


def evaluations(tree, share):
    methods = ("base", *TRAINED) if share == 1 else TRAINED
    return [tree / f"{at_share('creditmix', share)}_{method}/eval.json" for method in methods]


def draw_curve(tree, directory, shares=tuple(ROWS)):
    paths = [path for share in reversed(shares) for path in evaluations(tree, share)]
    figure, table = directory / "curve.svg", directory / "curve.csv"
    arguments = ["--study", "creditmix", "--shares", *shares, "--evals", *paths, "--figure", figure, "--table", table]
    script("learning_curve", list(map(str, arguments)))
    return figure, table


def test_the_table_has_what_was_measured_and_the_paired_difference_from_sft(tree, tmp_path):
    rows = list(csv.DictReader(draw_curve(tree, tmp_path)[1].open()))
    found = {(row["method"], float(row["share"]), row["metric"]): row for row in rows}
    assert len(found) == len(rows)
    assert {key[:2] for key in found} == {("base", 0.0), *((method, share) for method in TRAINED for share in ROWS)}
    for (method, share, metric), row in found.items():
        evaluation = read_json(tree / f"{at_share('creditmix', share or 1)}_{method}/eval.json")
        measured = evaluation["metrics"][metric]
        assert [float(row[key]) for key in ("mean", "ci95_low", "ci95_high")] == pytest.approx(
            [measured["mean"], *measured["ci95"]], abs=1e-6
        )
        assert row["sd"] == ("" if method == "base" else f"{measured['sd']:.6f}")
        assert (row["study"], int(row["n_train"])) == ("creditmix", ROWS.get(share, 0))
        assert row["seeds"] == " ".join(map(str, evaluation["seeds"]))
        assert bool(row["over_sft"]) == (method in ("kd", "dpo") and metric == "macro_f1")
    for share in ROWS:
        study = collect(evaluations(tree, share))[0]
        pair = find(compare(study), study.get("dpo"), study.get("sft"))
        row = found["dpo", share, "macro_f1"]
        assert [float(row[key]) for key in ("over_sft", "over_sft_ci95_low", "over_sft_ci95_high")] == pytest.approx(
            [pair.difference, *pair.ci95], abs=1e-6
        )


def paths_of(svg, colour):
    """Points of each line of a colour, from the figure's text: ``[lines][points] = (x, y)``, y downwards."""
    lines = []
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path"):
        if f"stroke: {colour}" in element.get("style", "") and "clip-path" in element.attrib:
            numbers = [float(word) for word in element.get("d").replace("M", "").replace("L", "").split()]
            lines.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return lines


def test_the_figure_has_a_rising_line_of_intervals_for_each_method(tree, tmp_path):
    figure, _ = draw_curve(tree, tmp_path)
    svg = figure.read_text()
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    words = {"SFT", "KD", "DPO", "Base", "150", "300", "600", "25 %", "50 %", "100 %", "training rows", "macro F1"}
    assert words <= set(texts)
    assert "Teacher" not in texts
    study = collect(evaluations(tree, 1.0))[0]
    ends = []
    for method in TRAINED:
        colour = colour_of(study, study.get(method))
        assert colour in cost(study)
        lines = paths_of(svg, colour)
        (line,) = [line for line in lines if len(line) == 3]
        intervals = [line for line in lines if len(line) == 2]
        assert [y for _, y in line] == sorted((y for _, y in line), reverse=True)
        assert len(intervals) == 3
        for (x, y), ((left, low), (right, high)) in zip(line, intervals, strict=True):
            assert left == right == pytest.approx(x, abs=0.01)
            assert high < y < low
        ends.append([x for x, _ in line])
    steps = [ends[0][1] - ends[0][0], ends[0][2] - ends[0][1]]
    assert steps[0] == pytest.approx(steps[1], abs=0.1)  # each share is twice the one before
    for before, after in pairwise(ends):  # side by side, but far from the next share
        assert all(1 < right - left < steps[0] / 3 for left, right in zip(before, after, strict=True))
    assert draw_curve(tree, tmp_path / "again")[0].read_text() == svg


def test_one_share_is_a_curve_too(tree, tmp_path):
    figure, table = draw_curve(tree, tmp_path, shares=(1.0,))
    assert ">600<" in figure.read_text()
    assert {row["share"] for row in csv.DictReader(table.open())} == {"0", "1"}


def test_a_study_that_trains_nothing_has_no_curve(tree, tmp_path):
    arguments = ["--study", "creditmix", "--shares", "1", "--evals", str(evaluations(tree, 1.0)[0])]
    with pytest.raises(UserError, match="study creditmix trains no method"):
        script("learning_curve", [*arguments, "--figure", str(tmp_path / "a.svg"), "--table", str(tmp_path / "a.csv")])
    assert not list(tmp_path.iterdir())

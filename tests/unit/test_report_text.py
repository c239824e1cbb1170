"""The report of a study of generated text: what it adds, and what of label studies it leaves out."""

import csv
import re

import pytest

from pipestill.answers.text.show import spread
from pipestill.errors import UserError
from pipestill.evaluation import formats
from pipestill.io.files import read_json, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.reporting.closeness import closeness_rows, measured_on
from pipestill.reporting.collect import collect
from pipestill.reporting.fidelity import read_fidelity
from pipestill.reporting.gap import gap_closed
from pipestill.reporting.html import templates
from support.pages import Page
from support.reports import plain, said, script, write_study
from support.text_reports import (
    METHODS,
    TEACHER_NLL,
    TEST_SETS,
    evaluate_text,
    write_fidelity,
    write_text_study,
    write_text_tree,
)

SETS = [f"rouge_l/{name}" for name in TEST_SETS]


def page_of(path) -> Page:
    parsed = Page()
    parsed.feed(path.read_text())
    assert parsed.open == []
    return parsed


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", " ".join(page.text))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A study of labels and one of text, and the report over both."""
    root = tmp_path_factory.mktemp("results")
    evaluations = [*write_study(root, n_per_class=45), *write_text_study(root, per_set=24)]
    fidelity = ["--fidelity", str(write_fidelity(root))]
    config = ["--config", str(root / "config.yaml"), "--output-dir", str(root / "report")]
    script("report", ["--evals", *map(str, evaluations), *fidelity, *config])
    return root


@pytest.fixture(scope="module")
def study(tree):
    return collect([tree / f"dolly_{method}/eval.json" for method in METHODS])[0]


@pytest.fixture(scope="module")
def text(tree):
    """The page's section on the study of text, in words."""
    whole = words(page_of(tree / "report/index.html"))
    return whole[whole.index("dolly Task dolly") : whole.index("How it was measured An interval")]


def test_page_of_both_kinds(tree, text):
    page = page_of(tree / "report/index.html")
    assert len(page.ids) == len(set(page.ids))
    assert (tree / "report/index.html").stat().st_size < 2_000_000
    whole = words(page)
    assert "Porter stemming" in whole and "Macro F1 is the unweighted mean" in whole
    for title in ("By label", "Calibration", "McNemar"):
        assert title in whole and title not in text
    for title in ("Results on the test sets", "What each method adds over SFT", "Closeness to the teacher"):
        assert title in text


def test_figures_of_text(tree):
    drawn = {path.stem for path in (tree / "report/figures/dolly").glob("*.svg")}
    assert drawn == {"test_sets", "gap", "cost", "kl", "training"}
    kl = (tree / "report/figures/dolly/kl.svg").read_text()
    assert all(f">{name}<" in kl for name in ("FKL", "ToDi", "SFT, at its end")) and ">KD<" not in kl


def test_table_of_methods_and_test_sets(tree, study, text):
    assert study.metric_names[: 1 + len(SETS)] == ["rouge_l", *SETS]
    for experiment in study.experiments:
        for name in ("rouge_l", *SETS):
            metric = experiment.metric(name)
            assert f"{formats.number(metric.mean, 2)} {formats.bracket(metric.ci95, 2)}" in text
    assert "mean of the sets" in text and all(f"{name} 24 examples" in text for name in TEST_SETS)
    for table in ("summary.md", "summary.tex"):
        content = (tree / "report" / table).read_text()
        assert "ROUGE-L on vicuna" in content
        best = next(each for each in study.experiments if study.is_best(each, "rouge_l/vicuna"))
        mean = formats.number(best.mean("rouge_l/vicuna"), 2)
        assert (f"**{mean}**" if table.endswith("md") else rf"\textbf{{{mean}}}") in content


def test_summary_csv_holds_both_kinds(tree, study):
    rows = {row["experiment"]: row for row in csv.DictReader((tree / "report/summary.csv").open())}
    assert rows["creditmix_sft"]["rouge_l"] == "" and rows["dolly_sft"]["macro_f1"] == ""
    for experiment in study.experiments:
        row = rows[f"dolly_{experiment.method}"]
        assert float(row["rouge_l/sinst"]) == pytest.approx(experiment.mean("rouge_l/sinst"), abs=1e-6)


def test_no_text_is_scored_again(tree, study, tmp_path):
    # The report works from scores.jsonl: predictions of a study of text are not read.
    target = tmp_path / "dolly_todi"
    write_json(target / "eval.json", read_json(tree / "dolly_todi/eval.json"))
    rows = read_jsonl(tree / "dolly_todi/scores.jsonl")
    write_jsonl(target / "scores.jsonl", rows)
    assert collect([target / "eval.json"])[0].get("todi").mean("rouge_l") == study.get("todi").mean("rouge_l")
    rows[0]["rouge_l"] += 1
    write_jsonl(target / "scores.jsonl", rows)
    with pytest.raises(UserError, match=r"scores\.jsonl gives another rouge_l than .*eval\.json"):
        collect([target / "eval.json"])
    write_jsonl(target / "scores.jsonl", [row for row in rows if row["seed"] == 1])
    with pytest.raises(UserError, match="holds other seeds"):
        collect([target / "eval.json"])


def test_intervals_are_those_of_the_evaluations(study):
    # The report resamples what evaluate resampled: its replicates give the interval that eval.json holds for one run.
    samples, metric = study.measured["teacher"].samples, study.get("teacher").metric("rouge_l")
    low, high = sorted(samples)[100], sorted(samples)[-101]  # 2.5 % of 4000 on each side
    assert metric.ci95 == pytest.approx((low, high), abs=0.05)


def test_every_method_is_compared_with_sft(tree, study, text):
    rows = [row for row in csv.DictReader((tree / "report/comparisons.csv").open()) if row["study"] == "dolly"]
    planned = [row for row in rows if row["family"] == "against sft"]
    assert len(rows) == 66 and {row["mcnemar_p"] for row in rows} == {""}
    trained = [method for method in METHODS if method not in ("base", "sft", "teacher")]
    assert [row["method_a"] for row in planned] == trained and {row["method_b"] for row in planned} == {"sft"}
    for row in planned:
        assert float(row["detectable_difference"]) > 0
        assert f"{formats.signed(float(row['difference']), 2)}" in text
        assert row["sentence"].split(" [")[0] in text
    for closed in gap_closed(study, "sft"):
        assert f"{formats.percent(closed.share)} [{formats.percent(closed.ci95[0])}" in text


def test_closeness(study, text):
    rows = {row.experiment.method: row for row in closeness_rows(study)}
    assert list(rows) == [method for method in METHODS if method != "teacher"]
    measured = [read_json(study.get("fkl").path.parent / f"predictions/seed_{seed}/agreement.json") for seed in (1, 2)]
    for key in ("kl", "agreement", "student_nll"):
        one, other = (each[key] for each in measured)
        assert getattr(rows["fkl"], key).mean == pytest.approx((one + other) / 2)
        assert getattr(rows["fkl"], key).sd == pytest.approx(abs(one - other) / 2**0.5)
    assert rows["base"].kl.sd is None
    assert measured_on(study).teacher_nll.mean == TEACHER_NLL and "On 4,812 tokens of gold validation answers" in text
    assert f"Teacher 0 100% {TEACHER_NLL:.3f}" in text
    assert "counted as one, so it is a little too low" in text


def test_cache_fidelity(tree, text):
    assert "codec topk, 163 bytes per token" in text and "ToDi unigram 24.1° 0.92" in text
    assert "gradients of ToDi (24°) point more than 20° away from the exact ones" in text
    broken = tree / "broken.json"
    write_json(broken, {"study": "dolly"})
    with pytest.raises(UserError, match=r"broken\.json does not say how exact a cache is"):
        read_fidelity([broken])


def test_label_warnings_stay_with_labels(study):
    warned = said("warnings.html.j2", study)
    assert "collapsed" not in warned and "label" not in warned


@pytest.mark.parametrize(
    ("sampling", "known", "expected"),
    [
        ((10, 20, 30), {"sd", "training_sd", "sampling_sd"}, "and sampling its answers again moves it by"),
        ((10,), {"sd"}, "With one sampling seed the spread of training and that of sampling are not told apart."),
        ((None,), {"sd", "training_sd"}, "Answers are the likeliest ones and were not drawn"),
    ],
)
def test_spread_of_training_and_sampling(tmp_path, sampling, known, expected):
    evaluations = write_text_study(tmp_path, sampling=sampling, per_set=6, methods=("base", "sft"))
    study = collect(evaluations)[0]
    base, sft = (each.metric("rouge_l") for each in study.experiments)
    assert {key for key in ("sd", "training_sd", "sampling_sd") if getattr(sft, key) is not None} == known
    assert base.sd is None and base.training_sd is None
    own = {"spread": spread(study)}
    assert expected in plain(templates().get_template("text_spread.html.j2").render(view={"study": study}, own=own))


def test_a_study_without_distributions_has_nothing_on_closeness(tmp_path):
    runs = write_text_tree(tmp_path, per_set=6, methods=("sft", "kd"))
    for path in tmp_path.glob("*/predictions/seed_*/agreement.json"):
        path.unlink()
    evaluations = [evaluate_text(tmp_path, "dolly", method, seeds, (10,)) for method, seeds in runs.items()]
    (tmp_path / "config.yaml").write_text("run: [dolly]\n")
    arguments = ["--evals", *map(str, evaluations), "--config", str(tmp_path / "config.yaml")]
    script("report", [*arguments, "--output-dir", str(tmp_path / "report")])
    whole = words(page_of(tmp_path / "report/index.html"))
    assert "Closeness" not in whole and "KD" in whole and not (tmp_path / "report/figures/dolly/kl.svg").exists()
    assert "ROUGE-L is the F-measure" in whole and "Macro F1" not in whole  # no study of labels to explain


def test_answers_of_no_test_set_have_one_column(tmp_path):
    runs = write_text_tree(tmp_path, per_set=6, methods=("base", "sft", "kd"))
    for path in tmp_path.glob("*/predictions/*/predictions.jsonl"):
        write_jsonl(path, [{**row, "test_set": None} for row in read_jsonl(path)])
    evaluations = [
        evaluate_text(tmp_path, "dolly", method, seeds, (10,), test_sets=[]) for method, seeds in runs.items()
    ]
    (tmp_path / "config.yaml").write_text("run: [dolly]\n")
    arguments = ["--evals", *map(str, evaluations), "--config", str(tmp_path / "config.yaml")]
    script("report", [*arguments, "--output-dir", str(tmp_path / "report")])
    whole = words(page_of(tmp_path / "report/index.html"))
    assert "Results on the test set method seeds ROUGE-L exact match" in whole and "mean of the sets" not in whole
    assert (tmp_path / "report/figures/dolly/test_sets.svg").exists()

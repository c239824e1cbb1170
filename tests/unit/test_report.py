"""The report: tables, comparisons, figures, page, and what its sentences say."""

import csv
import re
from operator import itemgetter
from xml.etree import ElementTree

import pytest

from pipestill.errors import UserError
from pipestill.evaluation import formats
from pipestill.evaluation.statistics import holm, mcnemar
from pipestill.io.files import read_json, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import against_sft, compare, find, seed_pairs
from pipestill.reporting.figures import draw
from pipestill.reporting.figures.canvas import INK
from pipestill.reporting.findings import findings
from pipestill.reporting.summary import latex_escape, write_csv
from pipestill.reporting.views import difference_matrix
from support.asked import write_asked
from support.pages import Page
from support.reports import METHODS, evaluate_arguments, said, script, write_report, write_tree

FIGURES = {"metrics", "cost", "confusion", "reliability", "training"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_report(root, {"creditmix": {"n_per_class": 90, "collapse": "dpo"}, "single": {"n_per_class": 45, "seeds": 1}})
    return root


def evaluations(tree, study="creditmix"):
    return [tree / f"{study}_{method}/eval.json" for method in METHODS]


@pytest.fixture(scope="module")
def study(tree):
    return collect(evaluations(tree))[0]


@pytest.fixture(scope="module")
def comparisons(study):
    return compare(study)


@pytest.fixture(scope="module")
def page(tree):
    parsed = Page()
    parsed.feed((tree / "report/index.html").read_text())
    return parsed


def test_all_files_are_there(tree):
    report = tree / "report"
    assert {path.name for path in report.iterdir()} == {
        "index.html", "summary.csv", "summary.md", "summary.tex", "comparisons.csv", "figures",
    }  # fmt: skip
    assert {path.name for path in (report / "figures").iterdir()} == {"creditmix", "single", "overview.svg"}
    for study in ("creditmix", "single"):
        assert {path.stem for path in (report / "figures" / study).iterdir()} == set(FIGURES)


def test_page_is_whole_and_needs_nothing_else(tree, page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for tag, name, value in page.attributes:
        assert tag not in ("iframe", "object") and not name.startswith("on")
        assert tag != "script" or (name, value) in (("type", "application/json"), ("class", "data"))
        if name in ("src", "href", "xlink:href"):
            assert value == "data:," or value.removeprefix("#") in page.ids, (tag, name, value)
    text = (tree / "report/index.html").read_text()
    assert "@import" not in text and INK not in text
    referred = re.findall(r"url\(#([^)]+)\)", text)
    assert referred and set(referred) <= set(page.ids)
    assert not re.findall(r"url\((?!#)", text)


def test_page_says_what_it_must(tree, page, study, comparisons):
    text = re.sub(r"\s+", " ", "".join(page.text))
    assert "Synthetic data." in text
    assert said("conclusion.html.j2", study) in text
    assert said("warnings.html.j2", study) in text
    for experiment in study.experiments:
        metric = experiment.metric("macro_f1")
        assert f"{formats.number(metric.mean)} {formats.bracket(metric.ci95)}" in text
        assert experiment.evaluation.provenance.config_sha256 in text
    assert "run: [single]" in text  # the configuration, as it is
    assert "Macro F1 is the unweighted mean" in text and "ROUGE" not in text


def test_report_is_repeatable(tree, tmp_path):
    arguments = ["--evals", *map(str, evaluations(tree, "single"))]
    script("report", [*arguments, "--config", str(tree / "config.yaml"), "--output-dir", str(tmp_path)])
    for path in (tmp_path / "figures/single").iterdir():
        assert path.read_bytes() == (tree / "report/figures/single" / path.name).read_bytes()
    rows = (tmp_path / "comparisons.csv").read_text().splitlines()[1:]
    assert rows == (tree / "report/comparisons.csv").read_text().splitlines()[-len(rows) :]


def test_figures_are_svg_that_takes_the_colour_of_its_page(tree):
    for path in (tree / "report/figures").glob("*/*"):
        svg = path.read_text()
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert "currentColor" in svg and INK not in svg and "<dc:date>" not in svg
    assert "training" not in draw(collect([tree / "creditmix_base/eval.json"])[0])


def test_summary_holds_the_numbers_of_the_evaluations(tree):
    rows = list(csv.DictReader((tree / "report/summary.csv").open()))
    assert [row["method"] for row in rows] == list(METHODS) * 2
    for row in rows:
        evaluation = read_json(tree / row["experiment"] / "eval.json")
        for name, metric in evaluation["metrics"].items():
            assert float(row[name]) == pytest.approx(metric["mean"], abs=1e-6)
            assert float(row[f"{name}_ci95_low"]) == pytest.approx(metric["ci95"][0], abs=1e-6)
    assert rows[0]["train_cpu_s"] == "" and rows[0]["macro_f1_sd"] == "" and rows[1]["seeds"] == "1 2 3"
    assert re.fullmatch(r"2\d\.\d", rows[1]["train_cpu_s"]) and re.fullmatch(r"\d+", rows[1]["train_tokens"])
    assert not {"money_usd", "macro_f1_training_sd"} & set(rows[0])  # nothing was paid for, no answers were sampled
    lines = (tree / "report/summary.md").read_text().splitlines()
    tables = [line.count("|") for line in lines if line.startswith("|")]
    assert len(tables) == 4 + 2 * 7 and len(set(tables[:4])) == len(set(tables[4:])) == 1
    assert any(re.match(r"\| SFT \| 3 \| (\*\*)?0\.", line) for line in lines)


def test_best_student_is_bold_in_every_table(tree, study):
    best = next(each for each in study.experiments if study.is_best(each, "macro_f1"))
    mean = formats.number(best.mean("macro_f1"))
    assert f"| {best.title} | 3 | **{mean}** [" in (tree / "report/summary.md").read_text()
    assert rf"{best.title} & 3 & \textbf{{{mean}}} [" in (tree / "report/summary.tex").read_text()
    assert f'<td class="num best"><span class="value">{mean}</span>' in (tree / "report/index.html").read_text()
    nlls = {experiment.mean("nll"): experiment for experiment in study.trained}
    assert [each for each in study.experiments if study.is_best(each, "nll")] == [nlls[min(nlls)]]
    assert not any(study.is_best(each, "label_mass") for each in study.experiments)


def test_money_has_a_column_where_it_was_paid(tree, tmp_path):
    study = collect(evaluations(tree, "single"))[0]
    study.get("kd").evaluation.cost.money_usd = 1.25
    write_csv(tmp_path / "summary.csv", [findings(study)])
    paid = {row["method"]: row["money_usd"] for row in csv.DictReader((tmp_path / "summary.csv").open())}
    assert paid["kd"] == "1.25" and float(paid["sft"]) == 0


def test_latex(tree):
    text = (tree / "report/summary.tex").read_text()
    assert text.count(r"\toprule") == 2 and r"\begin{table}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in body}) == 1
    assert latex_escape(r"a_b & 5 % {x} \y ~^#$") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}\#\$"
    )
    assert not re.search(r"(?<!\\)_", re.sub(r"\\label\{.*?\}", "", text))


def test_comparisons_are_of_all_pairs(tree, study, comparisons):
    rows = [row for row in csv.DictReader((tree / "report/comparisons.csv").open()) if row["study"] == "creditmix"]
    assert len({frozenset((row["method_a"], row["method_b"])) for row in rows}) == len(rows) == len(comparisons) == 10
    families = {
        name: [row for row in rows if row["family"] == name] for name in dict.fromkeys(map(itemgetter("family"), rows))
    }
    assert [*families] == ["against sft", "against the best", "further pairs"]
    p_holm = [p for own in families.values() for p in holm([float(row["p"]) for row in own])]
    for row, comparison, p in zip(rows, comparisons, p_holm, strict=True):
        assert float(row["difference"]) == pytest.approx(float(row["mean_a"]) - float(row["mean_b"]), abs=2e-6)
        assert float(row["ci95_low"]) < float(row["difference"]) < float(row["ci95_high"])
        assert float(row["p_holm"]) == pytest.approx(p, abs=1e-5)
        assert (row["significant"] == "yes") == (float(row["p_holm"]) < 0.05) == comparison.significant
    sft = find(comparisons, study.get("base"), study.get("sft"))
    assert sft.significant and sft.better is study.get("sft") and (sft.a.method, sft.verdict) == ("base", "worse")


def test_mcnemar_pairs_seeds(study, comparisons):
    assert seed_pairs(study.get("sft"), study.get("kd")) == [(1, 1), (2, 2), (3, 3)]
    assert seed_pairs(study.get("sft"), study.get("base")) == [(1, 0), (2, 0), (3, 0)]
    a, b = (study.get(method).runs[2] for method in ("sft", "kd"))
    expected = mcnemar(a.correct(), b.correct())
    assert find(comparisons, study.get("sft"), study.get("kd")).mcnemar[2, 2] == expected


def test_matrix_speaks_for_its_row(study, comparisons):
    matrix = difference_matrix(study, comparisons)
    assert all(matrix[i][i] is None for i in range(5))
    assert matrix[1][0].verdict == "better" and matrix[0][1].verdict == "worse"
    for i in range(5):
        for j in range(i):
            assert matrix[i][j].difference == -matrix[j][i].difference
            assert matrix[i][j].a is study.compared[i] and matrix[j][i].ci95 == tuple(
                -end for end in matrix[i][j].ci95[::-1]
            )


def test_conclusion_and_warnings(study, comparisons):
    text = said("conclusion.html.j2", study)
    best, *others = study.ranked
    level = [best.title, *(each.title for each in others if not find(comparisons, best, each).significant)]
    where = f"{best.mean('macro_f1'):.3f} ["
    verdict = f"is best on macro F1: {where}" if len(level) == 1 else "share the first"
    assert text.startswith(f"{formats.listing(level)} {verdict}") and where in text
    assert "of the gap between the untrained student and it" in text and "KD also needs the teacher" in text
    found = warned(study)
    assert re.search(r"DPO, seed 3, has collapsed: \d+% of its predictions are “Standard”\.", found)
    assert "DPO gives the labels only 31%" in found
    assert "one seed" not in found


def edited(tree, method, **changes):
    """A study of base, SFT and another method whose evaluation says something else."""
    experiments = collect([tree / f"creditmix_{name}/eval.json" for name in ("base", "sft", method)])[0]
    evaluation = experiments.get(method).evaluation
    for name, value in changes.items():
        setattr(evaluation, name, value)
    return experiments


def warned(study):
    return said("warnings.html.j2", study)


def test_warning_of_a_single_seed(tree):
    assert "SFT, KD and DPO have one seed" in warned(collect(evaluations(tree, "single"))[0])


def test_notes_are_shown_once(tree):
    note = "KD was trained on gold outputs, since the study has no teacher."
    assert warned(edited(tree, "kd", notes=[note, note])).count(note) == 1


@pytest.fixture
def noted(tree, tmp_path):
    """The report of a study on data that are not synthetic, in which two experiments carry notes."""
    notes = {"kd": ["KD was trained on gold_outputs, 100 % of them."], "sft": ["A | B."], "base": []}
    for method, sentences in notes.items():
        target = tmp_path / f"creditmix_{method}"
        evaluation = read_json(tree / f"creditmix_{method}/eval.json")
        write_json(target / "eval.json", {**evaluation, "notes": sentences, "source": "file"})
        for name in ("predictions", "scores.jsonl"):
            (target / name).symlink_to(tree / f"creditmix_{method}/{name}")
    paths = [str(tmp_path / f"creditmix_{method}/eval.json") for method in notes]
    script("report", ["--evals", *paths, "--config", str(tree / "config.yaml"), "--output-dir", str(tmp_path / "r")])
    return tmp_path / "r"


def test_every_table_shows_the_notes_and_the_source(noted, tree):
    kd, sft = "KD was trained on gold_outputs, 100 % of them.", "A | B."
    lines = (noted / "summary.md").read_text().splitlines()
    table = [number for number, line in enumerate(lines) if line.startswith("| ")]
    assert lines[table[-1] + 1 :] == ["", sft, "", kd]
    body, below = (noted / "summary.tex").read_text().split(r"\end{tabular}")
    assert r"KD was trained on gold\_outputs, 100 \% of them." in below and "KD was" not in body
    with (noted / "summary.csv").open() as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert {method: row["notes"] for method, row in rows.items()} == {"base": "", "sft": sft, "kd": kd}
    assert {row["source"] for row in rows.values()} == {"file"}
    with (noted / "comparisons.csv").open() as file:
        pairs = {frozenset((row["method_a"], row["method_b"])): row for row in csv.DictReader(file)}
    assert (
        pairs[frozenset(("kd", "sft"))]["notes"] == f"{kd} {sft}" and pairs[frozenset(("sft", "base"))]["notes"] == sft
    )
    assert {row["source"] for row in pairs.values()} == {"file"}
    with (tree / "report/comparisons.csv").open() as file:
        assert {(row["source"], row["notes"]) for row in csv.DictReader(file)} == {("synthetic", "")}


def test_a_checkpoint_stands_before_the_teacher(tree, tmp_path):
    target = tmp_path / "creditmix_theirs"
    write_json(
        target / "eval.json",
        {**read_json(tree / "creditmix_kd/eval.json"), "method": "theirs", "method_title": "Theirs"},
    )
    (target / "predictions").symlink_to(tree / "creditmix_kd/predictions")
    study = collect([target / "eval.json", *evaluations(tree)])[0]
    assert [each.method for each in study.experiments] == ["base", "sft", "kd", "dpo", "theirs", "teacher"]
    assert study.get("theirs").title == "Theirs"
    assert {c.a.method for c in against_sft(study)} == {"kd", "dpo"}  # it was not trained here, so it is not planned
    assert {"metrics", "cost", "training"} <= set(draw(study))


def test_conclusion_when_nothing_helps(tree):
    study = edited(tree, "kd")
    for method in ("sft", "kd"):
        study.get(method).metric("macro_f1").mean = 0.1
    assert said("conclusion.html.j2", study).startswith("No trained method is ahead of the untrained student")


def test_one_experiment_alone(tree, tmp_path):
    arguments = ["--config", str(tree / "config.yaml"), "--output-dir", str(tmp_path)]
    script("report", ["--evals", str(tree / "creditmix_base/eval.json"), *arguments])
    assert "with one method there is nothing to compare" in (tmp_path / "index.html").read_text()
    assert len((tmp_path / "comparisons.csv").read_text().splitlines()) == 1


def test_names_are_escaped(tree, tmp_path):
    arguments = ["--config", str(tree / "config.yaml"), "--output-dir", str(tmp_path)]
    evaluation = read_json(tree / "creditmix_base/eval.json")
    target = tmp_path / "creditmix_base"
    write_json(target / "eval.json", {**evaluation, "student": "<b>&", "notes": ["<script>alert(1)</script>"]})
    for name in ("predictions", "scores.jsonl"):
        (target / name).symlink_to(tree / "creditmix_base" / name)
    script("report", ["--evals", str(target / "eval.json"), *arguments])
    text = (tmp_path / "index.html").read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text and "&lt;b&gt;&amp;" in text


@pytest.fixture
def copied(tmp_path):
    """A small study of its own, to be broken."""
    write_tree(tmp_path, n_per_class=20, seeds=2)
    for method, seeds in (("base", [0]), ("sft", [1, 2])):
        script("evaluate", evaluate_arguments(tmp_path, "creditmix", method, seeds))
    return tmp_path


def test_predictions_that_are_not_those_evaluated(copied):
    path = copied / "creditmix_sft/predictions/seed_1/predictions.jsonl"
    rows = read_jsonl(path)
    rows[-1]["label_mass"] = 0.5
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=r"seed_1/predictions\.jsonl gives another label_mass than .*eval\.json"):
        collect([copied / "creditmix_sft/eval.json"])


def test_methods_that_were_tested_on_other_examples(copied):
    for method, seeds in (("base", [0]), ("sft", [1, 2])):
        for seed in seeds if method == "base" else []:
            path = copied / f"creditmix_{method}/predictions/seed_{seed}/predictions.jsonl"
            write_jsonl(path, read_jsonl(path)[:-1])
    write_asked(copied / "data/creditmix/cropped.jsonl", copied, "creditmix_base")
    script("evaluate", evaluate_arguments(copied, "creditmix", "base", [0]))
    with pytest.raises(UserError, match="has the test example 'creditmix-00059'"):
        collect([copied / "creditmix_base/eval.json", copied / "creditmix_sft/eval.json"])


def test_files_that_are_no_evaluations(tmp_path):
    with pytest.raises(UserError, match=r"eval\.json does not exist"):
        collect([tmp_path / "eval.json"])
    write_json(tmp_path / "eval.json", {"a": 1})
    with pytest.raises(UserError, match="is not an evaluation"):
        collect([tmp_path / "eval.json"])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.number(0.7341), "0.734"), (formats.number(-0.5), "−0.500"), (formats.number(None), "–"),
        (formats.signed(0.0524), "+0.052"), (formats.signed(-0.0104), "−0.010"), (formats.signed(-0.0001), "0.000"),
        (formats.bracket((0.7011, 0.766)), "[0.701, 0.766]"),
        (formats.p_value(0.0002), "< 0.001"), (formats.p_value(0.0123), "0.012"), (formats.p_value(None), "–"),
        (formats.seconds(0.84), "0.8 s"), (formats.seconds(24.4), "24 s"), (formats.seconds(200), "3 min 20 s"),
        (formats.seconds(7530), "2 h 05 min"), (formats.seconds(59.7), "1 min 00 s"), (formats.seconds(None), "–"),
        (formats.megabytes(812.4), "812 MB"), (formats.megabytes(2310), "2.3 GB"),
        (formats.count(950), "950"), (formats.count(131_072), "131 k"), (formats.count(1_062_000), "1.06 M"),
        (formats.count(3_090_000_000), "3.09 G"), (formats.count(0), "0"), (formats.count(999_999), "1 M"),
        (formats.listing(["a"]), "a"), (formats.listing(["a", "b", "c"]), "a, b and c"),
        (formats.plural(1, "seed"), "1 seed"), (formats.plural(3, "seed"), "3 seeds"),
    ],
)  # fmt: skip
def test_formats(written, expected):
    assert written == expected


def test_labels_of_several_test_sets_have_a_column_each(tmp_path):
    runs = write_tree(tmp_path, n_per_class=30, seeds=1)
    for path in tmp_path.glob("*/predictions/*/predictions.jsonl"):
        rows = read_jsonl(path)
        write_jsonl(path, [{**row, "test_set": ("hans", "matched")[i % 3 > 0]} for i, row in enumerate(rows)])
    for method, seeds in runs.items():
        script("evaluate", evaluate_arguments(tmp_path, "creditmix", method, seeds, test_sets=["matched", "hans"]))
    paths = [str(tmp_path / f"creditmix_{method}/eval.json") for method in runs]
    config = ["--config", str(tmp_path / "config.yaml"), "--output-dir", str(tmp_path / "report")]
    script("report", ["--evals", *paths, *config])
    parsed = Page()
    parsed.feed((tmp_path / "report/index.html").read_text())
    text = re.sub(r"\s+", " ", " ".join(parsed.text))
    assert "all examples matched 40 examples hans 20 examples" in text
    head = next(line for line in (tmp_path / "report/summary.md").read_text().splitlines() if "| seeds |" in line)
    assert "macro F1 | macro F1 on matched | macro F1 on hans | accuracy |" in head
    row = next(csv.DictReader((tmp_path / "report/summary.csv").open()))
    assert float(row["accuracy"]) == pytest.approx(
        (2 * float(row["accuracy/matched"]) + float(row["accuracy/hans"])) / 3
    )

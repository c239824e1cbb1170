"""What is planned where a study has prompts without gold outputs."""

import re

import yaml

from support.workflow import jobs, plan


def overlay(directory, **study):
    path = directory / "overlay.yaml"
    path.write_text(yaml.safe_dump({"run": ["creditmix"], "studies": {"creditmix": {"seeds": [1], **study}}}))
    return [path]


def commands(process, script):
    return re.findall(rf"{script}\.py .*", process.stdout + process.stderr)


def test_the_teacher_answers_them_once_for_all_methods_that_learn_from_it(tmp_path):
    study = {"methods": ["sft", "kd", "dpo", "fkl", "todi"], "distributions": {"codec": "labels"}}
    before = plan(tmp_path, "all", "-p", extra=overlay(tmp_path, unlabelled={"rows": None}, **study))
    after = plan(tmp_path, "all", "-p", extra=overlay(tmp_path, unlabelled={"rows": 40}, **study))
    new = {"unlabelled": 1, "unlabelled_outputs": 1, "training_file": jobs(before)["training_file"] + 1}
    assert jobs(after) == jobs(before) | new
    written = re.findall(r"--train results/data/creditmix/(\w+)\.jsonl", "\n".join(commands(after, "training_file")))
    assert sorted(written) == ["dpo", "kd", "sft", "taught", "teacher"]
    for line in commands(after, "training_file"):
        learns = "/kd.jsonl" in line or "/taught.jsonl" in line
        assert ("--unlabelled results/data/creditmix/unlabelled/records.jsonl" in line) == learns
        assert ("--unlabelled-outputs results/teachers/creditmix/unlabelled_outputs.jsonl" in line) == learns
    files = (("training_file", "/sft.jsonl"), ("train", "/creditmix_sft"), ("teacher_outputs", "/sft.jsonl"))
    for script, own in files:
        same = [line for line in commands(before, script) if own in line]
        assert same and set(same) <= set(commands(after, script))
    [captured] = commands(after, "teacher_distributions_shard")
    assert "--data results/data/creditmix/taught.jsonl results/data/creditmix/validation/taught.jsonl" in captured
    trained = dict(re.findall(r"--data (\S+) .* --output (\S+)", line)[0][::-1] for line in commands(after, "train"))
    of_methods = {name: trained[f"results/creditmix_{name}/seed_1/model"] for name in ("sft", "kd", "fkl", "todi")}
    files = ("sft", "kd", "taught", "taught")
    assert list(of_methods.values()) == [f"results/data/creditmix/{file}.jsonl" for file in files]


def test_a_share_has_the_prompts_and_the_teacher_of_the_whole_study(tmp_path):
    study = {"methods": ["sft", "fkl"], "distributions": {"codec": "labels"}, "unlabelled": {"file": "inputs.csv"}}
    (tmp_path / "inputs.csv").write_text("features\nAge: 30\n")
    target = "results/report/figures/learning_curve_creditmix.svg"
    process = plan(tmp_path, target, "-p", extra=overlay(tmp_path, **study))
    counts = jobs(process)
    once = ("unlabelled", "unlabelled_outputs", "train_teacher", "teacher_distributions")
    assert {rule: counts[rule] for rule in once} == dict.fromkeys(once, 1)
    assert counts["training_file"] == 2 * 3 + 1
    [line] = commands(process, "unlabelled")
    assert "--labelled" not in line


def test_curves_of_rows_have_one_teacher(tmp_path):
    study = {"methods": ["sft", "kd", "fkl"], "distributions": {"codec": "labels"}, "train_rows": 75}
    asked = {"rows": 40, "curve": [0, 20, 40], "sft_curve": [75, 300]}
    process = plan(tmp_path, "all", "-p", extra=overlay(tmp_path, unlabelled=asked, **study))
    counts = jobs(process)
    once = ("unlabelled", "unlabelled_outputs", "teacher_outputs", "train_teacher", "teacher_distributions")
    assert {rule: counts[rule] for rule in once} == dict.fromkeys(once, 1)
    assert (counts["train"], counts["evaluate"]) == (3 + 1 + 2 * 2, 3 + 1 + 1 + 2 * 2)
    lines = "\n".join(commands(process, "training_file"))
    rows = set(re.findall(r'"unlabelled":(\d+)}.* --train results/data/(\S+)\.jsonl', lines))
    assert rows == {
        (n, f"creditmix{at}/{file}") for n, at in (("20", "@prompts-20"), ("40", "")) for file in ("kd", "taught")
    }


def test_teachers_with_a_context_and_the_annotation_answer_them_too(tmp_path):
    steps = [{"prompt": f"{name}:\n{{document}}", "out": name} for name in ("rationale", "answer")]
    (tmp_path / "inputs.csv").write_text("document\nA man had a cough.\n")
    told = {
        "run": ["mnli", "multiclinsum"],
        "tasks": {"multiclinsum": {"annotation": {"steps": steps}}},
        "studies": {
            "mnli": {"seeds": [1], "methods": ["cd"], "unlabelled": {"rows": 40}},
            "multiclinsum": {"seeds": [1], "methods": ["stepwise"], "unlabelled": {"file": "inputs.csv"}},
        },
    }
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(told))
    process = plan(tmp_path, "all", "-p", extra=[path])
    counts = jobs(process)
    once = ("unlabelled_context_outputs", "context_accuracy", "annotate", "train_annotator")
    assert {rule: counts[rule] for rule in once} == dict.fromkeys(once, 1)
    assert counts["unlabelled"] == 2 and not {"unlabelled_outputs", "context_outputs"} & counts.keys()
    [asked] = commands(process, "annotate")
    assert "--unlabelled results/data/multiclinsum/unlabelled/records.jsonl" in asked
    of_cd, of_stepwise = (
        next(line for line in commands(process, "training_file") if f"/{file}.jsonl" in line)
        for file in ("cd", "stepwise")
    )
    assert "--unlabelled-outputs results/teachers/mnli/unlabelled_context_outputs.jsonl" in of_cd
    assert "--unlabelled results/data/multiclinsum/unlabelled/records.jsonl" in of_stepwise
    assert "--unlabelled-outputs" not in of_stepwise

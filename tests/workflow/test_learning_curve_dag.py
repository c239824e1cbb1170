"""What is planned for a learning curve, and what is not."""

import re

import yaml

from support.workflow import jobs, plan

CURVE = "results/report/figures/learning_curve_{}.svg"


def overlay(directory, **studies):
    path = directory / "overlay.yaml"
    path.write_text(yaml.safe_dump({"run": list(studies), "studies": studies}))
    return [path]


def test_every_trained_method_is_planned_at_every_share_with_the_teacher_of_the_whole_study(tmp_path):
    curve = {"learning_curve": [0.125, 0.5, 1], "unlabelled": {"rows": None}}
    extra = overlay(tmp_path, creditmix=curve | {"methods": ["base", "sft", "kd", "dpo"], "seeds": [1]})
    process = plan(tmp_path, CURVE.format("creditmix"), extra=extra)
    assert jobs(process) == {
        "base_model": 2,
        "prompts": 1,
        "download": 1,
        "evaluate": 1 + 3 * 3,
        "learning_curve": 1,
        "predict": 1 + 3 * 3,
        "records": 1,
        "teacher_outputs": 1,
        "train": 3 * 3,
        "train_teacher": 1,
        "training_file": 3 * 3 + 1,
    }
    said = process.stdout + process.stderr
    made = set(re.findall(r"results/(\S+)/eval\.json", said))
    methods = ("sft", "kd", "dpo")
    shares = ("", "@12.5", "@50")
    assert made == {"creditmix_base", *(f"creditmix{share}_{method}" for share in shares for method in methods)}
    assert set(re.findall(r"results/teachers/([^/]+)/", said)) == {"creditmix"}


def test_students_at_a_share_read_the_distributions_of_the_whole_study(tmp_path):
    extra = overlay(tmp_path, dolly={"methods": ["sft", "fkl"], "compress": None, "seeds": [1]})
    process = plan(tmp_path, CURVE.format("dolly"), "-p", extra=extra)
    counts = jobs(process)
    assert {rule: counts[rule] for rule in ("train_teacher", "teacher_distributions", "train", "training_file")} == {
        "train_teacher": 1,
        "teacher_distributions": 1,
        "train": 6,
        "training_file": 3 + 1,  # one file for students at each share, one for the teacher
    }
    commands = re.findall(r"training_file\.py .*", process.stdout + process.stderr)
    assert len(commands) == 4
    shares = re.findall(r'"share":([\d.]+),.*--train results/data/(\S+?)/(\w+)\.jsonl', "\n".join(commands))
    assert sorted(shares) == [
        ("0.25", "dolly@25", "sft"),
        ("0.5", "dolly@50", "sft"),
        ("1.0", "dolly", "sft"),
        ("1.0", "dolly", "teacher"),
    ]


def test_a_curve_is_no_part_of_all_nor_of_the_written_configuration(tmp_path):
    process = plan(tmp_path, "all", "-p", extra=overlay(tmp_path, creditmix={"seeds": [1]}))
    counts = jobs(process)
    assert "learning_curve" not in counts
    assert (counts["train"], counts["evaluate"], counts["resolved_config"]) == (4, 6, 1)
    assert "creditmix@" not in process.stdout + process.stderr


def test_a_curve_can_be_asked_for_beside_all(tmp_path):
    process = plan(tmp_path, "all", CURVE.format("creditmix"), extra=overlay(tmp_path, creditmix={"seeds": [1]}))
    counts = jobs(process)
    assert (counts["report"], counts["learning_curve"]) == (1, 1)

import os
import time

import pytest

from pipestill import cli
from pipestill.io.files import write_json, write_sha256sums
from pipestill.io.records import write_jsonl
from pipestill.io.seals import seal
from pipestill.io.times import future_times
from pipestill.job.row_log import RowLog

TASK = "creditmix"


@pytest.fixture
def tree(tmp_path):
    """Results of a small run: records, a model, predictions of two seeds, distributions, and state."""
    results = tmp_path / "runs" / "results"
    rows = [{"id": str(number), "split": "test", "sampling_seed": None} for number in range(30)]
    write_jsonl(results / f"data/{TASK}/cropped.jsonl", rows)
    experiment = results / f"{TASK}_sft"
    for seed in (1, 2):
        write_jsonl(experiment / f"predictions/seed_{seed}/predictions.jsonl", [row | {"seed": seed} for row in rows])
    write_json(experiment / "predictions/job.json", {"settings": {"asking": {"task": TASK}}})
    write_jsonl(experiment / "seed_1/model/history.jsonl", [{"step": 1}])
    write_sha256sums(experiment / "seed_1/model")
    for path in (results / f"data/{TASK}/cropped.jsonl", experiment / "predictions", experiment / "seed_1/model"):
        seal(path)
    state = experiment / "predictions.state/seed_1/abc"
    state.mkdir(parents=True)
    RowLog(state / "scores.jsonl").append([("1", {"raw": [0.5]}), ("2", {})])
    write_json(experiment / "predictions.state/cost/abc/cost.json", {"wall_s": 1.0, "cpu_s": 1.0})
    return results


def doctor(results, *options):
    """Exit code of the command."""
    arguments = cli.parser().parse_args(["doctor", "--results", str(results), *options])
    try:
        arguments.command(arguments)
    except SystemExit as end:
        return end.code
    return 0


def test_a_whole_tree_is_sound(tree, capsys):
    assert doctor(tree) == 0
    assert capsys.readouterr().out == f"{tree} is sound\n"


def test_all_that_is_wrong_is_named_and_removed_and_the_command_says_what_to_make(tree, capsys):
    experiment = tree / f"{TASK}_sft"
    first, second = (experiment / f"predictions/seed_{seed}/predictions.jsonl" for seed in (1, 2))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    (experiment / "seed_1/model/history.jsonl").unlink()
    log = experiment / "predictions.state/seed_1/abc/scores.jsonl"
    log.write_bytes(log.read_bytes().replace(b"0.5", b"0.6"))
    cost = experiment / "predictions.state/cost/abc/cost.json"
    cost.write_text('{"wall_s": "long"}')
    records = tree / f"data/{TASK}/cropped.jsonl"
    os.utime(records, (time.time() + 9e6,) * 2)
    assert doctor(tree) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{first} is not as it was made (its sha256 differs)",
        f"{second} is not as it was made (its sha256 differs)",
        f"{experiment / 'seed_1/model/history.jsonl'} is missing",
        f"{cost}: damaged state",
        f"{log}, lines 1: damaged state",
        f"{records} has a time in the future",
        f"to mend it: pipestill doctor --results {tree} --fix",
    ]
    assert doctor(tree, "--fix", "--yes") == 0
    said = capsys.readouterr().out.splitlines()[-1]
    lost = f"results/{TASK}_sft/predictions results/{TASK}_sft/seed_1/model"
    assert said.endswith(f": snakemake --cores 2 --directory {tree.parent} all {lost}")
    assert not (experiment / "predictions").exists() and not (experiment / "seed_1/model").exists()
    assert not cost.exists() and not log.exists()
    assert records.stat().st_mtime <= time.time()
    assert doctor(tree) == 1  # until they are made again
    assert f"{experiment / 'predictions'} is missing" in capsys.readouterr().out


@pytest.mark.parametrize("change", [lambda rows: rows[4:], lambda rows: [*rows, rows[0]], lambda rows: []])
def test_predictions_without_a_seal_must_answer_every_record_once(tree, capsys, change):
    experiment = tree / f"{TASK}_sft"
    (experiment / ".predictions.sha256").unlink()
    assert doctor(tree) == 0
    assert "note: 3 files have no seal and cannot be checked" in capsys.readouterr().out
    path = experiment / "predictions/seed_2/predictions.jsonl"
    path.write_text("".join(change(path.read_text().splitlines(True))))
    assert doctor(tree) == 1
    assert f"{path} does not answer each of the 30 test records" in capsys.readouterr().out


def test_nobody_is_taken_for_somebody_who_agrees(tree, monkeypatch):
    (tree / f"{TASK}_sft/predictions/job.json").unlink()
    with pytest.raises(Exception, match="give --yes"):
        doctor(tree, "--fix")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert doctor(tree, "--fix") == 1
    assert (tree / f"{TASK}_sft/predictions").exists()


def test_times_in_the_future_are_said_before_a_run(tmp_path):
    paths = [tmp_path / name for name in ("a b", "c", "d")]
    for path in paths[:2]:
        path.touch()
    directory = tmp_path / "model"
    directory.mkdir()
    stamp = directory / ".snakemake_timestamp"
    stamp.touch()
    assert future_times([*paths, directory]) == []
    for path in (paths[0], stamp):
        os.utime(path, (4e9, 4e9))
    (sentence,) = future_times([*paths, directory, stamp])
    assert sentence.startswith(f"{paths[0]} has a time in the future (2096-")
    assert f"`touch '{paths[0]}' {stamp}`" in sentence  # each once

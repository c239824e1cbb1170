"""The prediction job of a task that generates text, predictions by hand, and the teacher's answers."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipestill import cli
from pipestill.errors import UserError
from pipestill.inference import answers, generation
from pipestill.inference.by_hand import Predictor
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.target import find_target
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job import row_log
from pipestill.settings.jobs import OutputSettings, PredictionSettings
from pipestill.settings.samples import SamplesConfig
from pipestill.tasks import TASKS
from pipestill.teacher.outputs import Places, write_teacher_outputs
from support.asking import asking_about
from support.models import make_directory

SETS = ("dolly", "vicuna", "uinst")
LIMITS = {"max_prompt_tokens": 400, "max_new_tokens": 6}
COMMON = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "1"}


def settings(limits=LIMITS, **generation) -> PredictionSettings:
    asking = asking_about("dolly", prompt="alpaca", answers=generation, **limits)
    return PredictionSettings(asking=asking, data={"max_chars": 200}, **COMMON)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("results") / "models/base", initializer_range=0.3)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    rows = []
    for number in range(9):
        instruction, text = f"Name {number}{' of the things' * (number % 4)}", "Age: 23.0" if number % 2 else ""
        inputs = {"instruction": instruction, "input": text}
        references, test_set = ["Good", "Bad"][: 1 + number % 2], SETS[number % 3]
        prompt = TASKS["dolly"].prompts["alpaca"].fill(inputs)
        rows.append(Record(f"r{number}", "test", inputs, "Good", references, test_set, prompt))
    rows += [Record("v", "validation", rows[0].inputs, "Good", ["Good"], prompt=rows[0].prompt)]
    path = tmp_path_factory.mktemp("data") / "cropped.jsonl"
    write_jsonl(path, rows)
    return path


def job(directory, base, records, runs=(1, 2), **generation) -> Path:
    output = directory / "dolly_sft/predictions"
    runs = Runs(base, dict.fromkeys(runs))
    predict_experiment(settings(**generation), runs, records, directory / "state", output, threads=1)
    return output


@pytest.fixture(scope="module")
def sampled(base, records):
    return job(base.parents[1], base, records, sampling=True, sampling_seeds=[10, 20])


def test_every_run_answers_every_test_row_with_every_sampling_seed(sampled, records):
    tested = [row for row in read_jsonl(records) if row["split"] == "test"]
    for seed in (1, 2):
        rows = read_jsonl(sampled / f"seed_{seed}/predictions.jsonl")
        assert [(row["sampling_seed"], row["id"]) for row in rows] == [
            (number, row["id"]) for number in (10, 20) for row in tested
        ]
        for row, record in zip(rows, tested * 2, strict=True):
            assert set(row) == {"id", "split", "test_set", "sampling_seed", "prediction", "references"}
            assert (row["test_set"], row["references"]) == (record["test_set"], record["references"])
    once, twice = ([row["prediction"] for row in rows if row["sampling_seed"] == seed] for seed in (10, 20))
    assert sum(a != b for a, b in zip(once, twice, strict=True)) > 6
    written = {path.name for path in sampled.iterdir()}
    assert written == {"seed_1", "seed_2", "job.json", "hardware.json", "versions.json", "cost.json"}
    assert read_json(sampled / "cost.json")["tokens"] > 2 * 18 * 20


def test_a_stopped_job_goes_on_and_gives_the_same_bytes(tmp_path, base, records, sampled, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_TOKENS", 300)  # several batches
    whole = job(tmp_path / "whole", base, records, sampling=True, sampling_seeds=[10, 20])
    asked, true_generate = [], answers.generate

    def stopping(*arguments, **options):
        for batch in true_generate(*arguments, **options):
            if len(asked) == 3:
                raise KeyboardInterrupt
            asked.append(len(batch))
            yield batch

    monkeypatch.setattr(answers, "generate", stopping)
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path, base, records, sampling=True, sampling_seeds=[10, 20])
    assert not (tmp_path / "dolly_sft/predictions").exists()
    monkeypatch.setattr(answers, "generate", true_generate)
    sizes = []
    monkeypatch.setattr(row_log.RowLog, "append", counting(row_log.RowLog.append, sizes))
    resumed = job(tmp_path, base, records, sampling=True, sampling_seeds=[10, 20])
    assert sum(sizes) == 2 * 18 - sum(asked)  # what was answered is not asked again
    for seed in (1, 2):
        name = f"seed_{seed}/predictions.jsonl"
        assert (resumed / name).read_bytes() == (whole / name).read_bytes() == (sampled / name).read_bytes()
        asked, again = (read_json(place / f"seed_{seed}/queries.json") for place in (whole, resumed))
        assert {**asked, "ms": 0} == {**again, "ms": 0} and again["ms"] > 0


def counting(append, sizes):
    def counted(self, rows):
        rows = list(rows)
        sizes.append(len(rows))
        append(self, rows)

    return counted


def test_further_sampling_seeds_keep_the_answers_of_earlier_ones(tmp_path, base, records, monkeypatch):
    first = read_jsonl(job(tmp_path, base, records, (1,), sampling=True) / "seed_1/predictions.jsonl")
    sizes = []
    monkeypatch.setattr(row_log.RowLog, "append", counting(row_log.RowLog.append, sizes))
    both = job(tmp_path, base, records, (1,), sampling=True, sampling_seeds=[10, 20])
    assert sum(sizes) == 9
    assert read_jsonl(both / "seed_1/predictions.jsonl")[:9] == first
    job(tmp_path, base, records, (1,), sampling=True, temperature=0.5)
    assert sum(sizes) == 18  # other settings are other work


def test_prompts_that_are_cut_are_counted_in_the_log(tmp_path, base, records, capsys):
    short = settings(LIMITS | {"max_prompt_tokens": 60})
    predict_experiment(short, Runs(base, {1: None}), records, tmp_path / "state", tmp_path / "predictions", 1)
    said = "run 1/1 (seed 1): 9 of 9 prompts were longer than max_length allows and lost the end of their text"
    assert said in capsys.readouterr().err


def test_agreement_is_written_where_it_was_measured(tmp_path, base, records):
    found = iter([{"kl": 1.0}, None])
    output = tmp_path / "predictions"
    runs = Runs(base, {1: None, 2: None})
    predict_experiment(settings(), runs, records, tmp_path / "state", output, 1, lambda loaded: next(found))
    assert read_json(output / "seed_1/agreement.json") == {"kl": 1.0}
    assert not (output / "seed_2/agreement.json").exists()


def by_hand(results, name="dolly_sft", task="dolly", options=None, **inputs):
    return Predictor(find_target(name, results, task), options or {}).reply(inputs)


def test_by_hand_answers_are_those_of_the_pipeline(tmp_path, base, records):
    output = job(tmp_path, base, records, (2,))
    rows = {row["id"]: row for row in read_jsonl(output / "seed_2/predictions.jsonl")}
    for record in read_jsonl(records)[:3]:
        answer = by_hand(tmp_path, **record["inputs"])
        assert 0 < answer.pop("prompt_tokens") < 400 and 0 < answer.pop("written_tokens") <= 6
        assert answer == {
            "model_name": "dolly_sft",
            "seed": 2,
            "prediction": rows[record["id"]]["prediction"],
            "sampling_seed": None,
            "cropped": False,
            "repeats": False,
            "ended": False,
        }
    assert by_hand(tmp_path, instruction="long " * 99)["cropped"]
    assert by_hand(tmp_path, name=str(base), instruction="Name it.")["seed"] is None


def test_by_hand_sampling_is_as_configured_and_repeatable(sampled, base):
    first, again = (by_hand(base.parents[1], instruction="Name it.") for _ in range(2))
    assert first == again and first["sampling_seed"] == 10


def test_by_hand_refuses_what_it_cannot_answer(sampled, base):
    results, pmi = base.parents[1], {"calibration": "pmi"}
    for options, message in (
        ({"instruction": " "}, "the input text is empty: give `instruction`"),
        ({"input": "Age: 23.0"}, "the input text is empty: give `instruction`"),
        ({"instruction": "a", "options": pmi}, "answers of task `dolly` have no `calibration`: leave it out"),
        ({"name": str(base), "instruction": "a", "options": pmi}, "answers of task `dolly` have no `calibration`"),
        (
            {"name": str(base), "task": "creditmix", "features": "a", "instruction": "a"},
            "task `creditmix` takes features: leave `instruction` out",
        ),
    ):
        with pytest.raises(UserError, match=message):
            by_hand(results, **options)


def test_command_line(sampled, base, capsys, monkeypatch):
    command = ["pipestill", "predict", "dolly_sft", "--results", str(base.parents[1])]
    command += ["--instruction", "Name 3.", "--input", "Age: 23.0"]
    expected = by_hand(base.parents[1], instruction="Name 3.", input="Age: 23.0")
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", command)
    cli.main()
    assert capsys.readouterr().out == f"{expected['prediction']}\n"
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    cli.main()
    assert json.loads(capsys.readouterr().out) == expected


def test_a_teacher_answers_prompts_in_a_task_without_labels(tmp_path, base):
    rows = [{"id": f"t{number}", "input": f"Name {number}.", "output": "Good"} for number in range(5)]
    write_jsonl(tmp_path / "sft.jsonl", rows)
    given = OutputSettings(asking=asking_about("dolly", **LIMITS), **COMMON)
    output = tmp_path / "outputs.jsonl"
    places = Places(tmp_path / "sft.jsonl", base, None, tmp_path / "state", output, tmp_path / "cost.json")
    write_teacher_outputs(given, places, 1)
    written = read_jsonl(output)
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    assert all(set(row) == {"id", "outputs"} and len(row["outputs"]) == 1 for row in written)
    assert len({row["outputs"][0] for row in written}) > 1

    several = given.model_copy(update={"drawing": SamplesConfig(samples=3).drawing})
    write_teacher_outputs(several, places, 1)
    content = output.read_bytes()
    for row, more in zip(written, read_jsonl(output), strict=True):
        assert more["outputs"][:1] == row["outputs"] and len(set(more["outputs"])) == 3
    write_teacher_outputs(several, replace(places, state=tmp_path / "again"), 1)
    assert output.read_bytes() == content


def test_libraries_are_imported_when_a_model_is_loaded():
    """Before that, a job shows them the packages that it needs; afterwards it would be too late."""
    modules = ("inference.experiment", "inference.by_hand", "teacher.outputs", "teacher.agreement")
    halves = ("answers.labels.predict", "answers.text.predict")
    code = "".join(f"import pipestill.{name}\n" for name in (*modules, *halves))
    process = subprocess.run([sys.executable, "-c", f"{code}import sys; assert 'transformers' not in sys.modules"])
    assert process.returncode == 0


def test_what_cannot_be_asked_is_said_before_torch_is_imported(sampled, base):
    """Importing it takes seconds."""
    code = "import sys\nfrom pipestill import cli\ntry: cli.main()\nfinally: assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code, "predict", "dolly_sft", "--results", str(base.parents[1])]
    process = subprocess.run([*command, "--features", "Age: 23.0"], capture_output=True, text=True)
    assert (process.returncode, process.stderr.count("\n")) == (1, 1)
    assert "task `dolly` takes instruction, input: leave `features` out" in process.stderr

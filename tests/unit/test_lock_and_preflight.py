import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.io.lock import exclusive, hold
from pipestill.plan.check import check
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems
from pipestill.plan.start import HELD, start_run

ROOT = Path(__file__).parents[2]
HOLDER = (
    "import sys, time; from pipestill.io.lock import hold; kept = hold(__import__('pathlib').Path(sys.argv[1]), 'x')"
)


def test_a_lock_is_refused_while_its_holder_lives_and_free_once_it_is_killed(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", f"{HOLDER}; print('held', flush=True); time.sleep(60)", str(path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another run is already at work"):
        hold(path, "another run")
    holder.kill()
    holder.wait()
    hold(path, "another run").close()


def test_state_is_waited_for(tmp_path, capsys):
    code = f"{HOLDER}; print('held', flush=True); time.sleep(1)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "state.lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    start = time.monotonic()
    with exclusive(tmp_path / "state"):
        waited = time.monotonic() - start
    holder.wait()
    assert waited > 0.5
    assert "another process works in" in capsys.readouterr().err


class Persistence:
    """As Snakemake's: a job is marked from the start of its run."""

    def __init__(self):
        self.marked = []

    def started(self, job):
        self.marked.append(job)


def planned(rule, *files, output=()):
    return SimpleNamespace(rule=SimpleNamespace(name=rule), input=[*map(str, files)], output=[*map(str, output)])


def start(jobs, config):
    """Start a run of jobs; what is missing, and the jobs that are marked as not made yet."""
    workflow = SimpleNamespace(
        dag=SimpleNamespace(needrun_jobs=lambda: iter(jobs)), persistence=Persistence(), executor_plugin=None
    )
    return start_run(workflow, Plan(check(config), ROOT)), workflow.persistence.marked


def test_all_that_a_run_means_to_make_counts_as_incomplete_from_its_start(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = [planned("records"), planned("report")]
    missing, marked = start(jobs, config)
    HELD.pop().close()
    assert missing == [] and marked == jobs


def test_a_run_does_not_start_on_files_with_times_in_the_future(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("raw", "records"):
        (tmp_path / name).touch()
        os.utime(name, (4e9, 4e9))
    jobs = [planned("records", "raw", output=["records"]), planned("prompts", "records")]
    missing, marked = start(jobs, config)
    assert len(missing) == 1 and missing[0].startswith("raw has a time in the future") and not marked


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


DEMO = {"models": ["demo-student", "demo-teacher"], "tasks": ["creditmix"]}
TRAININGS = [("creditmix", "teacher")]


def missing(config, **needs):
    """What a run of the configuration lacks for the jobs that it needs."""
    return problems(Plan(check(config), ROOT), Needs(**needs))


def test_missing_models_data_and_room_are_known_before_work(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config["models"]["demo-teacher"]["path"] = "nowhere"
    config["tasks"]["creditmix"]["data"].update(source="file", path="data.json")
    assert missing(config, **DEMO, trainings=TRAININGS) == [
        "models.demo-teacher.path: nowhere does not exist; name a model directory",
        "tasks.creditmix.data.path: data.json does not exist; put the data there, or name another file",
    ]
    assert missing(config, models=["demo-student"]) == []
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10**8}))
    assert "has 0.1 GB of free disk" in missing(config)[0]


def test_what_bertscore_and_a_challenge_lack_is_known_before_work(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config["models"]["encoder"] = {"kind": "masked", "source": "path", "path": "resources/models/demo-bert-student"}
    study = config["studies"]["multiclinsum"]
    study["answers"] = {"bertscore": {"encoder": "encoder", "layer": 99, "baseline": "no/such"}}
    study["submission"] = {"documents": {"en": {"path": "test_en"}, "es": {"url": "https://example.org/es.zip"}}}

    def found():
        return missing(config, bertscores=["multiclinsum"], challenges=["multiclinsum"])

    layer, baseline, documents = found()
    assert layer == "studies.multiclinsum.answers.bertscore.layer: `encoder` has 4 layers; give 0 to 4"
    assert baseline.startswith(
        "studies.multiclinsum.answers.bertscore.baseline: bert-score ships no baseline of no/such"
    )
    assert documents == (
        "studies.multiclinsum.submission.documents.en.path: test_en does not exist; put the documents there, or name "
        "another file"
    )
    assert missing(config) == []  # none of it is planned
    (tmp_path / "test_en").mkdir()
    for baseline in ("corpus", "bert-base-multilingual-cased", None):
        study["answers"]["bertscore"] |= {"layer": 4, "baseline": baseline}
        assert found() == []
    config["models"]["encoder"]["path"] = "elsewhere"  # a missing model is said where it is taken
    assert found() == []


def test_a_missing_key_is_known_before_work(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    annotation = {"provider": "openrouter", "model": "m", "steps": [{"prompt": "{document}", "out": "rationale"}]}
    config["tasks"]["multiclinsum"]["annotation"] = annotation
    monkeypatch.setenv("OPENROUTER_API_KEY", " ")
    assert missing(config, annotations=["multiclinsum"]) == [
        "tasks.multiclinsum.annotation: the environment variable OPENROUTER_API_KEY is not set; put the key there"
    ]
    assert missing(config) == []
    annotation["replay"] = True
    assert missing(config, annotations=["multiclinsum"]) == []
    annotation["replay"] = False
    monkeypatch.setenv("OPENROUTER_API_KEY", "a key of the provider")
    assert missing(config, annotations=["multiclinsum"]) == []


def test_training_needs_room_for_its_state(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "big"
    directory.mkdir()
    with open(directory / "model.safetensors", "wb") as file:
        file.truncate(10**9)  # sparse
    config["models"]["demo-teacher"]["path"] = "big"
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 5 * 10**9}))
    assert missing(config, **DEMO) == []
    assert "may need 9.1 GB" in missing(config, **DEMO, trainings=TRAININGS)[0]

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipestill.config import check
from pipestill.errors import UserError
from pipestill.lock import exclusive, hold
from pipestill.preflight import problems

ROOT = Path(__file__).parents[2]
HOLDER = "import sys, time; from pipestill.lock import hold; kept = hold(__import__('pathlib').Path(sys.argv[1]), 'x')"


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


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_missing_models_data_and_room_are_known_before_work(config, tmp_path, monkeypatch):
    config["models"]["demo-teacher"]["path"] = "nowhere"
    config["tasks"]["creditmix"].update(source="file", path="data.json")
    found = problems(check(config), ROOT, tmp_path)
    assert any(sentence.startswith("models.demo-teacher.path: nowhere does not exist") for sentence in found)
    assert any(sentence.startswith("tasks.creditmix.path: data.json does not exist") for sentence in found)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10**8}))
    assert any("has 0.1 GB of free disk" in sentence for sentence in problems(check(config), ROOT, tmp_path))


def test_nothing_is_missing_where_all_is_there(config, tmp_path):
    for model in config["models"].values():
        directory = tmp_path / model["path"]
        directory.mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(b"0" * 1000)
    assert problems(check(config), ROOT, tmp_path) == []


def test_models_of_studies_that_do_not_run_are_not_asked_for(config, tmp_path):
    config["models"]["other"] = {"source": "path", "path": "nowhere"}
    config["studies"]["second"] = {"task": "creditmix", "student": "other", "methods": ["base"]}
    assert not any("nowhere" in sentence for sentence in problems(check(config), ROOT, tmp_path))

import gc
import importlib
import importlib.util
import subprocess
import sys

import pytest

from pipestill.job import startup
from support.models import make_directory


@pytest.fixture
def unused(monkeypatch):
    """Two packages that a process hides, one of which it has imported before."""
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    monkeypatch.setattr(startup, "UNUSED", ("wave", "json"))
    startup.hide_unused()
    yield
    startup.need("wave")


def test_unused_packages_look_absent_until_they_are_needed(unused):
    assert importlib.util.find_spec("wave") is None
    with pytest.raises(ImportError):
        importlib.import_module("wave")
    startup.need("wave")
    assert importlib.import_module("wave").__name__ == "wave"


def test_what_is_imported_already_stays(unused):
    json = sys.modules["json"]
    assert importlib.import_module("json") is json
    startup.need("json")
    assert sys.modules["json"] is json


def test_garbage_is_collected_again_once_the_start_is_over_but_for_what_was_there_then():
    kept, before = [[] for _ in range(1000)], gc.get_freeze_count()
    gc.disable()
    startup.settle()
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() > before + len(kept)
        frozen = gc.get_freeze_count()
        startup.settle()
        assert gc.get_freeze_count() <= frozen  # a process starts once
    finally:
        gc.enable()


JOB = """
import gc, sys, weakref
gc.disable()
from pathlib import Path
from pipestill.models.hardware import HardwarePlan, apply
from pipestill.models.loading import load_base_model
apply(HardwarePlan("cpu"))
model = weakref.ref(load_base_model(Path(sys.argv[1]), HardwarePlan("cpu")))
gc.collect()
assert gc.isenabled() and model() is None
"""


def test_a_job_frees_its_first_model(tmp_path):
    """In a process of its own, for what libraries leave behind as they are imported could keep it."""
    model = make_directory(tmp_path / "model")
    assert subprocess.run([sys.executable, "-c", JOB, model]).returncode == 0

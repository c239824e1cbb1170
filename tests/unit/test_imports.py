import gc
import importlib
import importlib.util
import sys
import weakref

import pytest
from tiny_models import CPU, make_directory

from pipestill.job import startup
from pipestill.models.loading import load_base_model


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
    kept = [[] for _ in range(1000)]
    gc.disable()
    startup.settle()
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(kept)
        frozen = gc.get_freeze_count()
        startup.settle()
        assert gc.get_freeze_count() <= frozen  # a process starts once
    finally:
        gc.unfreeze()


def test_a_model_that_a_job_started_with_is_freed(tmp_path):
    gc.disable()
    try:
        model = weakref.ref(load_base_model(make_directory(tmp_path / "model"), CPU))
        gc.collect()
        assert model() is None
    finally:
        gc.enable()
        gc.unfreeze()

import importlib
import importlib.util
import sys

import pytest

from pipestill.job.startup import uncollected, without


def test_packages_look_absent_inside_and_are_there_again_after():
    sys.modules.pop("wave", None)
    import json

    with without("wave", "json"):
        assert importlib.util.find_spec("wave") is None
        with pytest.raises(ImportError):
            importlib.import_module("wave")
        assert importlib.import_module("json") is json  # what is imported already stays
    assert importlib.import_module("wave").__name__ == "wave"
    assert sys.modules["json"] is json


def test_they_come_back_after_an_error_too():
    sys.modules.pop("wave", None)
    with pytest.raises(ZeroDivisionError), without("wave"):
        _ = 1 / 0
    assert importlib.util.find_spec("wave") is not None


def test_garbage_is_left_alone_inside_and_collected_again_after():
    import gc

    with pytest.raises(ZeroDivisionError), uncollected():
        assert not gc.isenabled()
        kept = [[] for _ in range(1000)]
        raise ZeroDivisionError
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)
    gc.unfreeze()  # for the tests after this one

"""Fixtures for every kind of test."""

import gc
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small tensors: more threads wait for each other, and for other workers

import pytest

gc.disable()  # until all is imported: to look through all of it again and again takes a fifth of the time
sys.path.insert(0, str(Path(__file__).parent))  # support


def pytest_collection_finish():
    """Look for garbage among what tests make, not among modules and tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory) -> Path:
    """A random Qwen2 of a few kilobytes with its tokenizer and SHA256SUMS, as a base model lies on disk."""
    from support.models import make_directory

    return make_directory(tmp_path_factory.mktemp("models") / "tiny")

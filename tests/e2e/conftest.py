"""Whole runs of the smoke preset."""

import os
import shutil

import pytest

from pipestill.io.lock import exclusive
from pipestill.warm import warm
from support.smoke import snakemake


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a whole run, which tests leave as it is; processes that test side by side share one."""
    own = tmp_path_factory.getbasetemp()
    directory = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "run"
    with exclusive(directory):
        if not (directory / "results" / "report" / "index.html").exists():
            directory.mkdir(exist_ok=True)
            environment = dict(os.environ)
            with warm(environment):  # test_kill compares with jobs that start as ever
                snakemake(directory, "all", environment=environment)
    return directory


@pytest.fixture
def own_run(run, tmp_path):
    """A copy for a test that changes it."""
    return shutil.copytree(run, tmp_path, dirs_exist_ok=True)

"""Whole runs of the smoke preset."""

import shutil

import pytest

from support.smoke import snakemake


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a whole run, which tests leave as it is."""
    directory = tmp_path_factory.mktemp("run")
    snakemake(directory, "all")
    return directory


@pytest.fixture
def own_run(run, tmp_path):
    """A copy for a test that changes it."""
    return shutil.copytree(run, tmp_path, dirs_exist_ok=True)

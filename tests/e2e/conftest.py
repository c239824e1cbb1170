"""Whole runs of the smoke preset."""

import pytest
from smoke_runs import snakemake


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a whole run. Tests of one process share it, in the order of their files: some change it."""
    directory = tmp_path_factory.mktemp("run")
    snakemake(directory, "all")
    return directory

"""Whole runs of the smoke preset."""

import pytest
from smoke_runs import snakemake


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a whole run."""
    directory = tmp_path_factory.mktemp("run")
    snakemake(directory, "all")
    return directory

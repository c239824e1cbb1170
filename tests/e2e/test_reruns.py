"""What Snakemake runs again in a finished run that has been moved, and after changes: what the tests of keys say."""

import re
import shutil

import pytest
import yaml
from snakemake.utils import update_config

from pipestill.plan.check import check
from support.configurations import smoke
from support.rules import read_rules
from support.smoke import snakemake

CHANGES = {
    "of data, answers and hardware": {
        "tasks": {"creditmix": {"data": {"max_chars": 300}}},
        "studies": {
            "dolly": {"answers": {"top_p": 0.9}, "distributions": {"shards": 3}},
            "multiclinsum": {"hardware": {"precision": "fp32"}, "answers": {"bertscore": {"layer": 2}}},
        },
    },
    "that concern no result": {
        "threads": 2,
        "training": {"saves": 2},
        "tasks": {"multiclinsum": {"annotation": {"concurrency": 3, "max_attempts": 2}}},
    },
}


@pytest.fixture(scope="module")
def moved(run, tmp_path_factory):
    """A copy of a finished run, deeper, at a path that has to be quoted."""
    directory = tmp_path_factory.mktemp("moved") / "another depth" / "it's $HOME; here"
    shutil.copytree(run, directory)
    return directory


def planned(directory):
    """Names of the jobs that a dry run plans, by rule and wildcards."""
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", snakemake(directory, "all", "-n"), re.M)
    found = ((rule, re.search(r"^    wildcards: (.*)$", body, re.M)) for rule, body in jobs)
    return {(rule, _wildcards(match[1]) if match else ()) for rule, match in found}


def _wildcards(text):
    return tuple(sorted(tuple(each.split("=")) for each in text.split(", ")))


def test_a_moved_run_is_finished(moved):
    (moved / "my.yaml").write_text("{}\n")
    assert planned(moved) == set()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_snakemake_runs_what_a_comparison_of_parameters_says(moved, tmp_path, change):
    (moved / "my.yaml").write_text(yaml.safe_dump(change))
    config = smoke()
    with read_rules(tmp_path, config) as rules:
        before = rules.jobs(check(config), ["all"])
        update_config(config, change)
        anew, _ = rules.anew(before, rules.jobs(check(config), ["all"]))
    assert planned(moved) == anew
    only = {rule for rule, _ in anew}
    assert (only == {"resolved_config", "report", "all"}) == ("threads" in change)

"""Profiles of clusters: every rule that may need a device is placed, and every option is one that there is."""

import re
from dataclasses import fields
from functools import cache

import pytest
import yaml
from snakemake.cli import get_argument_parser

from support.rule_texts import rule_texts
from support.workflow import ROOT, jobs, plan

PROFILES = {path.parent.name: path for path in sorted((ROOT / "profiles").glob("*/profile.yaml"))}
REMOTE = sorted(set(PROFILES) - {"default"})
CLOUD = sorted(set(REMOTE) - {"slurm"})


@cache
def settings(profile):
    return yaml.safe_load(PROFILES[profile].read_text())


def plugin(profile):
    """The module of a profile's executor; skips where it is not installed."""
    name = settings(profile)["executor"].replace("-", "_")
    return pytest.importorskip(f"snakemake_executor_plugin_{name}")


@pytest.mark.parametrize("profile", REMOTE)
def test_every_rule_that_may_run_on_a_device_is_placed(profile):
    on_devices = {name for name, text in rule_texts().items() if re.search(r"^ +gpu=", text, re.M)}
    assert "train" in on_devices
    assert on_devices <= set(settings(profile)["set-resources"])


@pytest.mark.parametrize("profile", REMOTE)
def test_every_rule_of_a_profile_is_one_that_there_is(profile):
    for option in ("set-resources", "set-threads"):
        assert set(settings(profile).get(option, {})) <= set(rule_texts())


@pytest.mark.parametrize("profile", REMOTE)
def test_what_results_depend_on_is_as_on_one_machine(profile):
    only_here = {"resources", "max-jobs-per-timespan"}
    for option in set(settings("default")) - only_here:
        assert settings(profile)[option] == settings("default")[option], option


@pytest.mark.parametrize("profile", PROFILES)
def test_every_option_is_one_of_snakemake_or_of_the_executor(profile):
    known = {option.lstrip("-") for action in get_argument_parser()._actions for option in action.option_strings}
    executor = settings(profile).get("executor")
    own = {option for option in settings(profile) if executor and option.startswith(f"{executor}-")}
    assert set(settings(profile)) - own <= known
    if own:
        there = {f"{executor}-{field.name.replace('_', '-')}" for field in fields(plugin(profile).ExecutorSettings)}
        assert own <= there


@pytest.mark.parametrize("profile", REMOTE)
def test_every_profile_plans_the_whole_smoke_preset(profile, tmp_path):
    plugin(profile)
    arguments = ["--workflow-profile", PROFILES[profile].parent]
    if profile in CLOUD:  # in a directory, instead of what would be asked over a network
        pytest.importorskip("snakemake_storage_plugin_fs")
        arguments += ["--default-storage-provider", "fs", "--default-storage-prefix", tmp_path / "storage"]
    planned = plan(tmp_path, *arguments, extra=[ROOT / "resources" / "presets" / "smoke.yaml"])
    assert jobs(planned)["train"] > 10


def test_aws_batch_gets_pairs_of_cores_and_memory_that_its_plugin_takes():
    constant = pytest.importorskip("snakemake_executor_plugin_aws_batch.constant")
    profile = settings("aws-batch")
    for name, text in rule_texts().items():
        asked = re.search(r"mem_mb=(\d+)", text)
        memory = profile["set-resources"].get(name, {}).get("mem_mb") or (int(asked[1]) if asked else None)
        if memory is None:  # a target, which runs nothing
            continue
        cores = profile.get("set-threads", {}).get(name, 1)
        assert (cores == 1 and memory <= 2048) or cores in constant.VALID_RESOURCES_MAPPING[memory], name


def test_requirements_of_profiles_are_pinned_beside_those_of_the_project():
    project = {line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    for profile in REMOTE:
        lines = (ROOT / "profiles" / profile / "requirements.txt").read_text().splitlines()
        names = {line.split("==")[0] for line in lines if re.fullmatch(r"[\w-]+==[\d.]+", line)}
        assert len(names) == len(lines) and not names & project
        assert f"snakemake-executor-plugin-{settings(profile)['executor']}" in names
        storage = settings(profile).get("default-storage-provider")
        assert storage is None or f"snakemake-storage-plugin-{storage}" in names

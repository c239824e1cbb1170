"""The container image: what it is made of is there, and it runs as no privileged user."""

import re

import yaml

from support.workflow import ROOT

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in TEXT.splitlines() if line and not line.startswith("#")]


def of(name):
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def test_what_is_copied_is_there_and_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for copy in of("COPY") for source in copy.split()[:-1]}
    assert copied == kept and "requirements.txt" in copied
    assert all((ROOT / source).is_file() for source in copied)


def test_packages_are_those_of_the_project_and_nothing_else():
    installs = [run for run in of("RUN") if "pip install" in run]
    assert len(installs) == 2
    for run in installs:
        assert run.split("--requirement ")[1] == "/requirements.txt" and "==" not in run


def test_python_is_that_of_the_other_environments():
    base = next(rest for rest in of("FROM") if rest.startswith("python:"))
    for path in (ROOT / "envs").glob("*.yaml"):
        python, *_ = yaml.safe_load(path.read_text())["dependencies"]
        assert base.startswith(f"python:{python.split('=')[1]}-")


def test_each_device_is_a_stage_and_the_last_one_is_built_on_it():
    stages = {rest.split(" AS ")[1] for rest in of("FROM") if " AS " in rest}
    assert {"cpu", "cuda"} <= stages
    assert of("FROM")[-1] == "${DEVICE}"
    assert dict(rest.split("=") for rest in of("ARG"))["DEVICE"] in stages


def test_jobs_run_as_a_user_without_privileges():
    user = dict(rest.split("=") for rest in of("ARG"))["RUN_AS"]
    assert of("USER") == ["${RUN_AS}"] and user != "root"
    assert re.search(rf"useradd .*{user}\b", TEXT)
    assert not of("ENTRYPOINT")  # executors hand over a command of their own

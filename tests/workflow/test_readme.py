"""What the README shows is what there is."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipestill.cli import make, parser, predict
from pipestill.methods import METHODS
from pipestill.tasks import TASKS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def edges_of(chart):
    """Pairs of rules that an arrow joins; a line may hold a chain."""
    chains = [re.split(r"\s*-->\s*", line.strip()) for line in chart.splitlines() if "-->" in line]
    return {pair for chain in chains for pair in itertools.pairwise(chain)}


@pytest.fixture(scope="module")
def dag(tmp_path_factory):
    """Edges between rules of the default configuration."""
    directory = tmp_path_factory.mktemp("dag")
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    command += ["--rulegraph", "mermaid-js", "all", "--configfile", ROOT / "config.yaml"]
    chart = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=directory, check=True).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", chart, re.M))
    return {(names[a], names[b]) for a, b in edges_of(chart)}


def reachable(edges, start):
    """Rules that wait for ``start``, directly or not."""
    found, queue = set(), [start]
    while queue:
        following = {b for a, b in edges if a == queue[-1]} - found
        queue.pop()
        found |= following
        queue += following
    return found


def test_every_arrow_of_the_picture_is_a_way_through_the_dag(dag):
    drawn = edges_of(re.search(r"```mermaid\n(.*?)```", README, re.S)[1])
    assert len(drawn) >= 10
    for a, b in drawn:
        assert b in reachable(dag, a), f"{a} --> {b}"


def test_every_rule_is_explained(dag):
    page = (ROOT / "docs" / "pipeline.md").read_text()
    for rule in {rule for edge in dag for rule in edge} - {"all", "resolved_config"}:
        assert re.search(rf"^\|.*`{rule}`", page, re.M), rule


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_method_study_and_preset_is_named():
    methods = (ROOT / "docs" / "methods.md").read_text()
    assert set(METHODS) == set(re.findall(r"^\| `(\w+)` \|", methods, re.M))
    for study in yaml.safe_load((ROOT / "config.yaml").read_text())["studies"]:
        assert f"| `{study}` |" in README
    for preset in (ROOT / "resources" / "presets").glob("*.yaml"):
        assert f"| `{preset.stem}` |" in README


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_every_command_of_the_project_is_one_that_it_has(page):
    lines = (ROOT / page).read_text().replace("\\\n", " ").splitlines()
    commands = [line.strip() for line in lines if line.startswith(("    pipestill ", "    $ pipestill "))]
    for command in commands:
        words = shlex.split(command.removeprefix("$ "), comments=True)[1:]
        args, others = parser().parse_known_args(words)
        assert not others or args.command in (make.command, predict.command), command


def test_the_commands_of_the_readme_name_inputs_of_their_tasks():
    for command in re.findall(r"^ {4}pipestill predict (.*)$", README, re.M):
        experiment, *others = shlex.split(command, comments=True)
        task = TASKS[yaml.safe_load((ROOT / "config.yaml").read_text())["studies"][experiment.split("_")[0]]["task"]]
        known = {*task.inputs, *task.layout.fields, "example", *task.answers.Options.asked()}
        given = {word.removeprefix("--").replace("-", "_") for word in others if word.startswith("--")}
        assert given and given <= known, command

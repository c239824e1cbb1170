"""What the README shows is what there is."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import yaml

from pipestill.methods import METHODS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def edges_of(chart):
    """Pairs of rules that an arrow joins; a line may hold a chain."""
    chains = [re.split(r"\s*-->\s*", line.strip()) for line in chart.splitlines() if "-->" in line]
    return {pair for chain in chains for pair in itertools.pairwise(chain)}


def test_the_picture_of_the_dag_is_the_dag(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--rulegraph", "mermaid-js", "all", "--configfile", ROOT / "config.yaml"]
    chart = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", chart, re.M))
    drawn = re.search(r"```mermaid\n(.*?)```", README, re.S)[1]
    assert edges_of(drawn) == {(names[a], names[b]) for a, b in edges_of(chart)}


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_method_and_preset_is_named():
    for study in yaml.safe_load((ROOT / "config.yaml").read_text())["studies"].values():
        assert all(f"| `{method}` |" in README for method in study["methods"])
    assert set(METHODS) <= set(re.findall(r"^\| `(\w+)` \|", README, re.M))
    for preset in (ROOT / "resources" / "presets").glob("*.yaml"):
        assert f"| `{preset.stem}` |" in README

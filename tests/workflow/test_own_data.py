"""Each block of docs/your_own_data.md, as it is printed."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.cli import main
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.plan.check import check
from pipestill.plan.data_checks import examine_data
from pipestill.plan.files import read_files
from support.own_data import write_pairs
from support.workflow import ROOT, jobs, plan

PAGE = (ROOT / "docs" / "your_own_data.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
YAML = [text for language, text in BLOCKS if language == "yaml"]
COMMANDS = [text.strip() for language, text in BLOCKS if language == "sh"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with the files that the page names, beside the project's configuration."""
    my = tmp_path / "my"
    my.mkdir()
    teams = ("billing", "bug", "feature", "praise", "other")
    rows = "".join(f"Letter {n} about something,{teams[n % 5]}\n" for n in range(200))
    (my / "tickets.csv").write_text(f"body,team\n{rows}")
    write_pairs(my / "pairs.jsonl", 500)
    rows = [{"prompt": f"Q {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(60)]
    write_jsonl(my / "preferences.jsonl", rows)
    names = ("Ann", "José", "Max")
    fields = [{"name": names[n % 3], "age": 20 + n % 50, "member": n % 2 == 0} for n in range(60)]
    letters = [f"Letter {n}: I am {each['name']}, {each['age']} years old." for n, each in enumerate(fields)]
    write_jsonl(my / "forms.jsonl", [{"letter": a, "fields": b} for a, b in zip(letters, fields, strict=True)])
    shutil.copytree(ROOT / "resources" / "models" / "demo-student", my / "model")
    for name in ("config.yaml", "Snakefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", YAML, ids=[f"{n}" for n in range(len(YAML))])
def test_each_configuration_is_planned_as_it_is_printed(place, text):
    (place / "my.yaml").write_text(text)
    checked = check(read_files([Path("config.yaml"), Path("my.yaml")]))
    (study,) = checked.run
    found = examine_data(checked)
    assert (study in found) == (checked.tasks[checked.studies[study].task].declared is not None)
    planned = jobs(plan(place, "all", extra=[place / "my.yaml"]))
    seeds, methods = checked.studies[study].seeds or checked.seeds, checked.studies[study].methods
    assert planned["train"] == len(seeds) * (len(methods) - 1)


def test_each_command_runs_as_it_is_printed(place, monkeypatch, capsys):
    (first, *others) = COMMANDS
    assert first.startswith("pipestill init ")
    for command in (first, *others):
        program, *arguments = shlex.split(command)
        if program == "snakemake":
            assert jobs(plan(place, "all", extra=[place / "my.yaml"]))["report"] == 1
            assert arguments == ["--cores", "2", "all", "--configfile", "config.yaml", "my.yaml"]
            continue
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        main()
    assert "my.yaml: no fault was found" in capsys.readouterr().out


def test_a_study_of_a_file_runs_to_its_report(place):
    """The second block: base and SFT of texts, in a few steps."""
    (place / "my.yaml").write_text(YAML[1])
    few = "seeds: [1]\nstudies: {titles: {train_rows: 16, training: {max_steps: 2}}}\n"
    few += "tasks: {titles: {splits: {test_rows: 6, val_rows: 4}}}\n"
    (place / "few.yaml").write_text(few)
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2", "all"]
    command += ["--configfile", "config.yaml", "my.yaml", "few.yaml"]
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=place)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Write the title." in read_jsonl(place / "results" / "data" / "titles" / "sft.jsonl")[0]["input"]
    assert "titles, data: file, 6 test examples" in (place / "results" / "report" / "summary.md").read_text()

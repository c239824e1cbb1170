"""`pipestill list` and `pipestill show`: tables and JSON of a tree of results, without a model."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from pipestill.cli import main
from pipestill.cli.overview import WIDTH
from pipestill.io.files import write_text
from support.configurations import smoke
from support.reports import script
from support.text_experiment import write_experiment


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An experiment that is evaluated, and a configuration that plans others."""
    root = tmp_path_factory.mktemp("tree") / "results"
    script("evaluate", write_experiment(root))
    write_text(root / "config.yaml", yaml.safe_dump(smoke()))
    (root / "dolly_sft/predictions").mkdir(parents=True)
    (root / "creditmix_kd/seed_1/model").mkdir(parents=True)
    return root


@pytest.fixture
def said(results, monkeypatch, capsys):
    def said(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", *arguments, "--results", str(results)])
        try:
            main()
        except SystemExit as end:
            assert end.code == 1
        return capsys.readouterr()

    return said


def test_list_tells_what_is_done_of_what_is_planned(said):
    entries = {each["experiment"]: each for each in json.loads(said("list", "--json").out)}
    assert {"creditmix_base", "creditmix_teacher", "mnli_cd", "multiclinsum-t5_kd"} < set(entries)
    states = [entries[name]["state"] for name in ("dolly_todi", "dolly_sft", "creditmix_kd", "creditmix_base")]
    assert states == ["3 seeds", "not evaluated", "1 of 2 trained", "nothing"]
    own = entries["dolly_todi"]
    assert own["metric"] == "rouge_l" and own["ci95"][0] < own["mean"] < own["ci95"][1]
    assert entries["dolly_sft"]["mean"] is None


def test_tables_fit_a_terminal(said):
    for arguments in (["list"], ["show", "dolly_todi"]):
        out = said(*arguments).out
        assert max(map(len, out.splitlines())) <= WIDTH and "dolly_todi" in out


def test_show_tells_numbers_their_files_and_their_cost(said, results):
    out = said("show", "dolly_todi").out
    found = json.loads(said("show", "dolly_todi", "--json").out)
    evaluation = json.loads((results / "dolly_todi/eval.json").read_text())
    assert found["metrics"] == evaluation["metrics"] and found["cost"] == evaluation["cost"]
    assert "ROUGE-L on vicuna" in out and "predicting, each seed" in out and "note: Note." in out
    predicted = results / "dolly_todi/predictions/seed_1/predictions.jsonl"
    assert found["files"][str(predicted)] == "answers of seed_1"
    assert all(os.path.exists(path) for path in found["files"])


def test_an_experiment_that_is_not_there(said):
    error = said("show", "dolly_kd").err
    assert "no experiment that was evaluated" in error and "(there are: dolly_todi)" in error


def test_no_model_is_loaded_for_a_look(results):
    code = (
        f"import sys; from pipestill.cli import main; sys.argv = ['pipestill', 'list', '--results', {str(results)!r}];"
        "main(); print({'torch', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stderr == "set()\n", process.stderr


def test_a_shell_completes_commands_and_experiments(results):
    def completed(line):
        environment = os.environ | {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        environment |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(results.parent / "completed"), "_ARGCOMPLETE_IFS": "\n"}
        code = "from pipestill.cli import main; main()"
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=results.parent, check=True)
        return set((results.parent / "completed").read_text().split())

    assert completed("pipestill ex") == {"export"}
    assert completed("pipestill show dolly_") == {"dolly_todi", "dolly_sft"}
    assert "--example" in completed("pipestill predict --ex")

"""Workflow scripts as programs: help, light imports, and errors that a user can act on."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "workflow_scripts").glob("*.py"))
HEAVY_MODULES = ("torch", "transformers", "datasets", "pandas", "sklearn")


def script(name, *arguments):
    command = [sys.executable, ROOT / "workflow_scripts" / f"{name}.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_help_and_imports_nothing_heavy_for_it(name):
    code = (
        f"import runpy, sys; sys.argv = ['{name}', '--help']\n"
        f"try: runpy.run_path(r'{ROOT / 'workflow_scripts' / name}.py', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"heavy = [name for name in {HEAVY_MODULES} if sys.modules.get(name)]  # hidden ones are None\n"
        "assert not heavy, heavy"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "usage:" in process.stdout


def test_light_stages_run_without_torch(tmp_path):
    """The data stage from end to end, in processes where importing torch is an error."""
    (tmp_path / "torch.py").write_text("raise RuntimeError('a light stage imports torch')")
    splits = '{"splits": {"test_rows": 15, "val_rows": 15, "teacher_share": 0.5}, "max_bad_share": 0.1}'
    prompt = json.dumps({"text": "{features}"})
    settings = f'{{"task": "creditmix", "method": "dpo", "prompt": {prompt}, "seed": 1, "data": {{"max_chars": 300}}}}'
    cropping = """--data '{"max_chars": 300}'"""
    calls = f"""
        download --task creditmix --data '{{"source": "synthetic", "rows": 200}}' --output raw
        records --task creditmix --data '{splits}' --raw raw --records records.jsonl --manifest manifest.json
        prompts --task creditmix {cropping} --prompt '{prompt}' --records records.jsonl --output cropped.jsonl
        training_file --settings '{settings}' --records cropped.jsonl --train dpo.jsonl --validation validation.jsonl
    """
    calls = [shlex.split(line) for line in calls.strip().splitlines()]
    for name, *arguments in calls:
        command = [sys.executable, ROOT / "workflow_scripts" / f"{name}.py", *arguments]
        process = subprocess.run(
            list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}
        )
        assert process.returncode == 0, process.stderr
    assert (tmp_path / "dpo.jsonl").stat().st_size > 0


def test_light_libraries_import_no_torch():
    modules = "pipestill.evaluation.evaluate, pipestill.reporting.report, pipestill.plan.experiments, pipestill.cli"
    modules += ", pipestill.annotation.annotate, pipestill.plan.start"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            "records --task creditmix --data '{}' --raw none --records r --manifest m",
            "error: none/manifest.json does not exist",
        ),
        (
            """prompts --task creditmix --data '{}' --prompt '{"text": "a"}' --records none.jsonl --output c""",
            "error: none.jsonl does not exist",
        ),
        (
            """download --task creditmix --data '{"source": "file", "path": "none.json"}' --output raw""",
            "error: none.json does not exist: put the data there, or name another file",
        ),
    ],
)
def test_a_missing_file_gives_one_line_and_no_output(tmp_path, call, sentence):
    name, *rest = shlex.split(call)
    command = [sys.executable, ROOT / "workflow_scripts" / f"{name}.py", *rest]
    process = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 1
    assert sentence in process.stderr
    assert process.stderr.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith((".partial", ".lock"))]


def test_a_reader_that_has_gone_leaves_no_traceback(tmp_path):
    said = "from pipestill.job.script import run\nrun(lambda: [print('line', n) for n in range(100000)])\n"
    (tmp_path / "speaker.py").write_text(said)
    command = f"{shlex.quote(sys.executable)} speaker.py | head -1"
    found = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (found.stdout, found.stderr) == ("line 0\n", "")

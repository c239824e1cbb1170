import shutil

import pytest

from pipestill.io import digests


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("pipestill", "workflow_scripts"):
        shutil.copytree(digests.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    return tmp_path


def digest(*names):
    for cached in (digests.code_digest, digests._module_file, digests._read):
        cached.cache_clear()
    return digests.code_digest(*names)


def test_code_of_an_imported_module_counts_and_comments_do_not(project):
    before = {name: digest(name) for name in ("crop", "balance")}
    module = project / "pipestill" / "data" / "crop.py"
    module.write_text(f"# a comment\n{module.read_text()}")
    assert digest("crop") == before["crop"]
    module.write_text(module.read_text().replace("max_chars - len(instruction)", "max_chars"))
    assert digest("crop") != before["crop"]
    assert digest("balance") == before["balance"]


def test_a_new_task_or_default_re_runs_nothing_but_a_changed_task_does(project):
    before = digest("records", "pipestill.tasks.creditmix")
    for name in ("config/root.py", "methods.py", "tasks/__init__.py"):
        path = project / "pipestill" / name
        path.write_text(f"{path.read_text()}\nNEW = 1\n")
    assert digest("records", "pipestill.tasks.creditmix") == before
    task = project / "pipestill" / "tasks" / "creditmix_synthetic.py"
    task.write_text(task.read_text().replace("NOISE_SD = 0.35", "NOISE_SD = 0.36"))
    assert digest("records", "pipestill.tasks.creditmix") != before


def test_the_spelling_of_json_does_not_matter():
    assert digests.json_digest({"a": 1, "b": [1.0]}) == digests.json_digest({"b": [1.0], "a": 1})

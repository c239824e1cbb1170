import shutil
from dataclasses import replace

import pytest

from pipestill.io import digests
from pipestill.tasks import TASKS

CREDITMIX = ("pipestill.tasks.creditmix", "pipestill.layouts.rows")
DOLLY = ("pipestill.tasks.dolly", "pipestill.layouts.test_sets")


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


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_code_of_an_imported_module_counts_and_comments_do_not(project):
    before = {name: digest(name) for name in ("prompts", "report")}
    module = project / "pipestill" / "text" / "crop.py"
    module.write_text(f"# a comment\n{module.read_text()}")
    assert digest("prompts") == before["prompts"]
    edit(module, "places[limit - 1]", "places[limit]")
    assert digest("prompts") != before["prompts"]
    assert digest("report") == before["report"]


def test_a_new_task_or_default_re_runs_nothing_but_a_changed_task_does(project):
    before = digest("records", *CREDITMIX)
    for name in ("plan/config.py", "methods.py", "tasks/__init__.py"):
        path = project / "pipestill" / name
        path.write_text(f"{path.read_text()}\nNEW = 1\n")
    assert digest("records", *CREDITMIX) == before
    edit(project / "pipestill" / "tasks" / "creditmix" / "synthetic.py", "NOISE_SD = 0.35", "NOISE_SD = 0.36")
    assert digest("records", *CREDITMIX) != before


def test_an_edited_layout_re_runs_the_data_stages_alone(project):
    def digests_now():
        data = {script: digest(script, *CREDITMIX) for script in ("download", "records", "prompts", "training_file")}
        others = {"predict": CREDITMIX[0], "train": "pipestill.objectives.stepwise.train", "evaluate": CREDITMIX[0]}
        return data | {script: digest(script, module) for script, module in others.items()}

    before = digests_now()
    edit(project / "pipestill" / "layouts" / "rows.py", "if size == 0:", "if size < 1:")
    after = digests_now()
    assert [script for script in before if before[script] != after[script]] == [
        *("download", "records", "prompts", "training_file")
    ]


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("answers/labels/predict.py", {"predict labels"}),
        ("answers/text/predict.py", {"predict text", "outputs"}),
        ("answers/labels/score.py", {"evaluate labels"}),
        ("answers/labels/show.py", {"report"}),
        ("objectives/preference/train.py", {"train preference"}),
        ("metrics/exact_match.py", {"evaluate text"}),
        ("metrics/json_fields.py", {"evaluate json", "report"}),
        ("answers/json/show.py", {"report"}),
        ("layouts/fetch.py", {"download"}),
    ],
)
def test_edited_code_re_runs_the_stages_that_it_concerns(project, edited, changed):
    def digests_now():
        labels, text, json = (f"pipestill.answers.{kind}" for kind in ("labels", "text", "json"))
        halves = {
            "predict labels": ("predict", f"{labels}.predict"),
            "predict text": ("predict", f"{text}.predict"),
            "evaluate labels": ("evaluate", CREDITMIX[0], f"{labels}.score", f"{labels}.card"),
            "evaluate text": ("evaluate", DOLLY[0], f"{text}.score", f"{text}.card", *TASKS["dolly"].answers.scorers),
            "predict json": ("predict", "pipestill.tasks.idp", f"{json}.predict"),
            "evaluate json": ("evaluate", "pipestill.tasks.idp", f"{json}.score", f"{json}.card"),
            "download": ("download", DOLLY[1], *digests.FETCHING),
            "records": ("records", *DOLLY),
            "training_file": ("training_file", *DOLLY, "pipestill.objectives.cross_entropy"),
            "outputs": ("teacher_outputs", DOLLY[0], f"{text}.predict"),
            "report": ("report", f"{labels}.show", f"{text}.show", f"{json}.show"),
            "train preference": ("train", "pipestill.objectives.preference.train"),
            "train stepwise": ("train", "pipestill.objectives.stepwise.train"),
        }
        return {name: digest(*modules) for name, modules in halves.items()}

    before = digests_now()
    path = project / "pipestill" / edited
    path.write_text(f"{path.read_text()}\nNEW = 1\n")
    after = digests_now()
    assert {name for name in before if before[name] != after[name]} == changed


def test_an_edited_resource_that_code_names_re_runs_it(project):
    schema = project / "resources/schemas/idp_schema.json"
    schema.parent.mkdir(parents=True)
    schema.write_text("{}")
    modules = {"idp": "pipestill.tasks.idp", "dolly": DOLLY[0]}
    before = {task: digest("predict", module) for task, module in modules.items()}
    schema.write_text('{"type": "object"}')
    after = {task: digest("predict", module) for task, module in modules.items()}
    assert {task for task in modules if before[task] != after[task]} == {"idp"}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_a_module_of_its_name_whose_code_counts(task):
    assert digests._module_file(TASKS[task].module)
    assert replace(TASKS[task], name="my-qa.v2", module="").module == "pipestill.tasks.my_qa_v2"


def test_the_spelling_of_json_does_not_matter():
    assert digests.json_digest({"a": 1, "b": [1.0]}) == digests.json_digest({"b": [1.0], "a": 1})

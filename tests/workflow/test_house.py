"""The house: tasks, layouts, answers, objectives and methods are objects, and no stage asks which one it has."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pipestill.methods import METHODS, ROLES
from pipestill.plan.config import Config
from pipestill.plan.plan import Plan
from pipestill.tasks import TASKS
from support.rule_texts import rule_texts

ROOT = Path(__file__).parents[2]
METHOD = "|".join([*METHODS, *ROLES])
OBJECTIVE = "cross_entropy|preference|dpo|divergence|stepwise"
KINDS = "Rows|TestSets|Documents|Labels|Text|JsonObject|Code|CrossEntropy|Preference|Divergence|Stepwise|Classification"
FIELD = "label|output|probabilities|raw_scores|sampling_seed|sentences|teacher_output|chosen|rationale_prompt"

# What a stage asks where a fact is no object: a pattern, a line that it finds, and who may ask, as they own the fact.
QUESTIONS: list[tuple[str, str, tuple[str, ...]]] = [
    # which kind of answers or which layout a task has
    (r"\branks_labels\b", "if task.ranks_labels:", ()),
    (r"\.collection\b", "if task.collection is None:", ()),
    (r"\bof_(text|documents|labels)\b", "{% if study.of_text %}", ()),
    (r"\bany_(text|documents|labels)\b", "any_text=any(found)", ()),
    (r"\b(rationale_prompt|calibration) is (not )?None\b", "if task.rationale_prompt is None:", ()),
    (r"\bgeneration is (not )?None\b", "if settings.generation is None:", ()),
    (r"""["']?kind["']?\]? [!=]= ["'](text|labels|json|code)\b""", 'if evaluation["kind"] == "text":', ()),
    (r"""metrics["']?\)? [!=]= ["']""", 'if task.metrics == "summaries":', ()),
    (rf"isinstance\([^()]*, ({KINDS}|GeneratedRun|LabelRun)\b", "of_text = isinstance(first, GeneratedRun)", ()),
    (rf"type\(.*\)(\.__name__)? (is|==|in) .*\b({KINDS})\b", "if type(task.answers) is Labels:", ()),
    (r"\bif (not )?(args|settings|job)\.(crop|labels)\b", "if args.crop:", ()),
    (r"""\bif \w+\[["'](labels|test_sets)["']\]""", 'if description["labels"]:', ()),
    # which task it is
    (rf"""[!=]= ["']({"|".join(TASKS)})["']""", 'if task == "multiclinsum":', ()),
    (r"(?<!tasks\.)multiclinsum", 'path = f"{team}_multiclinsum_{language}"', ("pipestill/tasks/",)),
    # which method, objective, divergence, training file or codec it has
    (rf"""(?<!init )[!=]= ["']({METHOD})["']""", 'if method == "teacher":', ("pipestill/losses/",)),
    (rf"""\b(method|name)( not)? in [\[({{]["']({METHOD})["']""", 'if method in ("teacher", "sft"):', ()),
    (rf"""["']({METHOD})["']( not)? in \S*(methods|study)\b""", 'if "stepwise" in study.methods:', ()),
    (r"""\b(objective|training_file|divergence)( not)? in [\[({]["']""", 'if objective in ("dpo", "kd"):', ()),
    (rf"""\b(objective|file|training_file|section) [!=]= ["']({OBJECTIVE}|{METHOD})["']""", 'objective == "dpo"', ()),
    (r"""\b(METHODS|method_of|entry)\b.*\bobjective [!=]= ["']""", 'METHODS[method].objective == "divergence"', ()),
    (rf"""\.({OBJECTIVE})\.(teacher|rejected|mode|tail)\b""", "if training.divergence.teacher:", ()),
    (
        r"""\b(teacher|mode|rejected|tail) [!=]= ["'](cached|online|\w+_task|confusable|auto)["']""",
        'if divergence.teacher == "online":',
        ("pipestill/objectives/",),
    ),
    (rf"""exclude=\{{?["']({OBJECTIVE})["']""", 'settings.model_dump(exclude={"dpo"})', ()),
    (r"""["'](prediction|rationale)_loss["']""", 'PARTS = ("loss", "rationale_loss")', ("pipestill/objectives/",)),
    (
        r"""\bcodec [!=]= ["']""",
        'tail = "bucket" if codec == "topk" else None',
        ("pipestill/teacher/distributions/codecs.py", "pipestill/objectives/divergence/"),
    ),
    (r"\bhas_two_tasks\b", "elif settings.has_two_tasks:", ()),
    # what a row, a file or a name looks like
    (r"""["'](collapsed|unmarked)["']""", 'if run.get("unmarked"):', ("pipestill/answers/",)),
    (rf"""["']({FIELD})["']( not)? in \w+\b""", 'if "probabilities" in answer:', ("pipestill/tasks/",)),
    (rf"""\.get\(["']({FIELD})["']\)""", 'record.get("label") or record.get("test_set")', ("pipestill/tasks/",)),
    (r"\b(has|get)attr\((task|answers|layout|objective|entry|method|row)\b", 'if hasattr(task, "labels"):', ()),
    (r"""\.(starts|ends)with\(["'(]+(bertscore|rouge|bleu|chrf|_unicode)""", 'name.startswith("bertscore")', ()),
    (r"\b(LOWER_IS_BETTER|PERCENT_PREFIXES|TEMPLATES|SCORERS)\b", "if name in LOWER_IS_BETTER:", ()),
    (r"\blen\((name|test_set|suffix)\) == 2\b", "return len(name) == 2", ()),
]
LINES = [line for _, line, _ in QUESTIONS]


@cache
def code_of(path: Path) -> list[str]:
    """Lines of a file without its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    elif path.suffix == ".smk":
        lines = re.sub(r'"""(.|\n)*?"""', lambda found: "\n" * found[0].count("\n"), text).splitlines()
    return [re.sub(r"(^|\s)#\s.*", "", line) for line in lines]


def stages(root: Path) -> list[Path]:
    """Every file that a stage runs: the library, rules, scripts and templates, without how base models were made."""
    folders = ("pipestill", "rules", "workflow_scripts")
    found = [path for folder in folders for path in (root / folder).rglob("*")]
    kinds = (".py", ".smk", ".j2")
    return sorted(path for path in found if path.suffix in kinds and "pretraining" not in path.parts)


def asked(root: Path, questions=QUESTIONS) -> list[str]:
    """Lines below ``root`` that ask one of ``questions``, by file and number."""
    found = []
    for path in stages(root):
        name = path.relative_to(root).as_posix()
        patterns = [re.compile(pattern) for pattern, _, owners in questions if not name.startswith(owners)]
        found += [
            f"{name}:{number}: {line.strip()}"
            for number, line in enumerate(code_of(path), 1)
            if any(pattern.search(line) for pattern in patterns)
        ]
    return found


@pytest.mark.parametrize(("pattern", "line"), [question[:2] for question in QUESTIONS], ids=LINES)
def test_each_pattern_finds_the_question_that_it_stands_for(pattern, line):
    assert re.search(pattern, line)


@pytest.mark.parametrize("question", QUESTIONS, ids=LINES)
def test_no_stage_asks(question):
    found = asked(ROOT, [question])
    assert not found, "an object should answer this:\n" + "\n".join(found)


def test_what_rules_ask_of_the_plan_is_there():
    for path in (ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))):
        for owner, name in re.findall(r"\bPLAN\.(config\.)?(\w+)", path.read_text()):
            known = name in Config.model_fields if owner else name == "config" or hasattr(Plan, name)
            assert known, f"{path.name} asks PLAN.{owner}{name}"


def test_rules_give_scripts_only_options_that_they_have():
    for name, rule in rule_texts().items():
        for script in re.findall(r'\bscript\("(\w+)"\)', rule):
            known = (ROOT / "workflow_scripts" / f"{script}.py").read_text()
            if "pipestill.training.command" in known:  # what several scripts share
                known += (ROOT / "pipestill" / "training" / "command.py").read_text()
            for option in re.findall(r"(?<!-)--[a-z][a-z-]*", rule):
                assert f'"{option}"' in known, f"{name}: {script} has no option {option}"

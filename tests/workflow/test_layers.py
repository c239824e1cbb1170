"""Modules import only downwards, file by file and without a circle."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pipestill"
LAYERS = (
    *("errors", "sandbox", "io", "job", "text", "settings", "schemas", "losses", "metrics", "answers", "layouts"),
    *("tasks", "objectives", "methods", "plan", "models", "compression", "inference", "annotation", "teacher"),
    *("training", "evaluation", "reporting", "export", "pretraining", "doctor", "serving", "warm", "terminal", "draft"),
    "cli",
)
HALVES = {  # modules of a kind of answers or an objective that belong to a stage, by the layer that runs it
    **{
        "predict": "inference",
        **dict.fromkeys(("train", "teachers", "make_teacher", "on_policy", "rounds"), "training"),
    },
    **dict.fromkeys(("score", "classification", "subsets", "entry", "card"), "evaluation"),
    **{"show": "reporting", "figures": "reporting", "judge": "serving"},
}


def name_of(path):
    """Dotted name of a file's module."""
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer_of(module):
    """Rank of a module: its room's, or for a half that of the stage."""
    room, *inner = module.split(".")[1:]
    half = HALVES.get(inner[-1]) if room in ("answers", "objectives") and len(inner) > 1 else None
    return LAYERS.index(half or room)


def imported(path):
    """Modules of the project that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                module = whole if whole in MODULES else node.module
                if module in MODULES and module != "pipestill":
                    yield module


def test_layers_import_only_downwards():
    for own, path in MODULES.items():
        for module in imported(path):
            if own != "pipestill":
                assert layer_of(module) <= layer_of(own), f"{own} imports {module}"


def test_no_file_imports_itself_by_way_of_others():
    graph = {own: set(imported(path)) - {own} for own, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_no_test_imports_another_test():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found = [name for name in names if re.match(r"(tests\.)?(\w+\.)*test_\w+$", name) and name not in MODULES]
            assert not found, f"{path.relative_to(ROOT)} imports {found}: what tests share lies in tests/support"

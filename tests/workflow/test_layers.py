"""Modules import only downwards, file by file and without a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pipestill"
LAYERS = (
    *("errors", "io", "job", "text", "settings", "losses", "methods", "metrics", "tasks", "plan", "data"),
    *("models", "inference", "annotation", "teacher", "training", "evaluation", "reporting", "pretraining", "cli"),
)


def name_of(path):
    """Dotted name of a file's module."""
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path, typing=True):
    """Modules of the project that a file imports, at any depth; with ``typing``, those for annotations alone too."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not typing:
            skipped |= set(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node not in skipped:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                module = whole if whole in MODULES else node.module
                if module in MODULES and module != "pipestill":
                    yield module


def test_layers_import_only_downwards():
    for own, path in MODULES.items():
        for module in imported(path):
            layers = [LAYERS.index(name.split(".")[1]) for name in (module, own) if name != "pipestill"]
            assert layers == sorted(layers), f"{own} imports {module}"


def test_no_file_imports_itself_by_way_of_others():
    graph = {own: set(imported(path, typing=False)) - {own} for own, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_no_test_imports_another_test():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found = [name for name in names if name.rpartition(".")[2].startswith("test_")]
            assert not found, f"{path.relative_to(ROOT)} imports {found}: what tests share lies in tests/support"

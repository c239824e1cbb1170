"""Layers import only downwards."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "pipestill"
LAYERS = (
    *("errors", "versions", "files", "archives", "digests", "records", "progress", "lock", "imports", "cost", "script"),
    *(
        "sentences",
        "gaps",
        "single_task",
        "divergence_kinds",
        "methods",
        "metrics",
        "tasks",
        "config",
        "experiments",
        "preflight",
        "config_reference",
    ),
    *("data", "objectives"),
    *("models", "inference", "annotation", "teacher", "training", "evaluation", "reporting", "cli"),
)


def layer(module):
    """Which layer a dotted name of the project belongs to."""
    return LAYERS.index(module.split(".")[1])


def imported(path):
    """Modules of the project that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "pipestill":
            yield from (f"pipestill.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipestill."):
            yield node.module


def test_layers_import_only_downwards():
    for path in sorted(PACKAGE.rglob("*.py")):
        own = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        if own != "pipestill.__init__":
            for module in imported(path):
                assert layer(module) <= layer(own), f"{own} imports {module}"

"""Digests of code, so that a change of code re-runs the rules that it concerns and nothing else."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What these say reaches a rule through its parameters; following them would re-run everything for a new task.
REGISTRIES = {"pipestill", "pipestill.methods", "pipestill.tasks"}
CONFIGURATION = "pipestill.config"  # the package, with all of its modules


def canonical_json(value: Any) -> str:
    """``value`` as JSON in one spelling."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def json_digest(value: Any) -> str:
    """sha256 of :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def code_digest(script: str, *modules: str) -> str:
    """Digest of ``workflow_scripts/<script>.py`` and every module of the project that it imports, at any depth.

    Comments, formatting and docstrings do not count.

    Args:
        script: name of the workflow script.
        modules: further modules to follow, such as the one of a task.
    """
    seen: dict[str, str] = {}
    queue = [*_imports(ROOT / "workflow_scripts" / f"{script}.py"), *modules]
    while queue:
        module = queue.pop()
        path = _module_file(module)
        if module not in seen and path and not _is_registry(module):
            seen[module] = _syntax(path)
            queue += [*_imports(path), module.rpartition(".")[0]]
    parts = [_syntax(ROOT / "workflow_scripts" / f"{script}.py"), *(f"{m}\0{seen[m]}" for m in sorted(seen))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _is_registry(module: str) -> bool:
    return module in REGISTRIES or module == CONFIGURATION or module.startswith(f"{CONFIGURATION}.")


def _module_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(name for name in _imported(_tree(path)) if name.split(".")[0] == "pipestill")


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _syntax(path: Path) -> str:
    """The code of a file without comments, formatting and docstrings; of a package, its templates too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                statement
                for statement in body
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
    templates = sorted((path.parent / "templates").glob("*")) if path.name == "__init__.py" else []
    return "\0".join([ast.dump(tree), *(template.read_text(encoding="utf-8") for template in templates)])

"""Digests of code, so that a change of code re-runs the rules that it concerns and nothing else."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# What these say reaches a rule through its parameters; following them would re-run everything for a new task.
REGISTRIES = {"pipestill", "pipestill.methods", "pipestill.tasks"}
CONFIGURATION = ("pipestill.settings", "pipestill.plan")  # packages, with all of their modules
LAYOUTS = "pipestill.layouts"  # reach other stages as data files; followed from scripts and where they are named
FETCHING = ("pipestill.layouts.fetch", "pipestill.layouts.taking")  # reach them as raw data; only where they are named


def canonical_json(value: Any) -> str:
    """``value`` as JSON in one spelling."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def json_digest(value: Any) -> str:
    """sha256 of :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).hexdigest()


def hash_of(text: str) -> int:
    """64 bits by which texts are told apart: of ten million, two have the same with a chance of 3 in a million."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def listing_digest(directory: Path) -> str:
    """Digest of names, sizes and times of the files below a directory, wherever it lies."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    facts = ((path.relative_to(directory).as_posix(), path.stat()) for path in files)
    return json_digest([(name, found.st_size, found.st_mtime_ns) for name, found in facts])


@cache
def code_digest(script: str, *modules: str) -> str:
    """Digest of ``workflow_scripts/<script>.py`` and every module of the project that it imports, at any depth.

    Comments, formatting and docstrings do not count.

    Args:
        script: name of the workflow script.
        modules: further modules to follow, such as those of a task and its layout.
    """
    main = _read(ROOT / "workflow_scripts" / f"{script}.py")
    seen: dict[str, str] = {}
    queue = [*main.imports, *modules]
    while queue:
        module = queue.pop()
        skipped = _is_registry(module) or (module in FETCHING and module not in modules)
        if module in seen or skipped or not (path := _module_file(module)):
            continue
        code = _read(path)
        seen[module] = code.syntax
        imports = [name for name in code.imports if module.startswith(LAYOUTS) or not name.startswith(LAYOUTS)]
        queue += [*imports, module.rpartition(".")[0]]
    parts = [main.syntax, *(f"{module}\0{seen[module]}" for module in sorted(seen))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _is_registry(module: str) -> bool:
    return module in REGISTRIES or module.startswith(CONFIGURATION)


@cache
def _module_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


class _Code(NamedTuple):
    imports: tuple[str, ...]  # names of the project's own modules, and of what is taken from them
    syntax: str  # without comments, formatting and docstrings; with resources, and of a package with its templates
    resources: tuple[str, ...] = ()  # files below `resources/` that the code names


@cache
def _read(path: Path) -> _Code:
    code = _parsed(path.read_text(encoding="utf-8"))
    templates = sorted((path.parent / "templates").glob("*")) if path.name == "__init__.py" else []
    read = [*templates, *(ROOT / name for name in code.resources if (ROOT / name).is_file())]
    return code._replace(syntax="\0".join([code.syntax, *(each.read_text(encoding="utf-8") for each in read)]))


@cache
def _parsed(text: str) -> _Code:
    tree = ast.parse(text)
    imports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                statement
                for statement in body
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
    own = tuple(name for name in imports if name.split(".")[0] == "pipestill")
    named = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return _Code(own, ast.dump(tree), tuple(text for text in named if text.startswith("resources/")))

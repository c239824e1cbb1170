"""Problems in the layouts of MBPP and of HumanEval, as examples."""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipestill.layouts.example import BadRow, Example

ENTRY = "entry_point"  # a key of HumanEval alone


def parse(row: Mapping[str, Any]) -> Example:
    """Read a problem of HumanEval (``prompt, canonical_solution, test, entry_point``) or of MBPP (``text, code,
    test_list, test_setup_code``; where it is sanitised, ``prompt`` and ``test_imports``).

    Tests and what they need before them (``setup``) are in ``meta``: ``tests`` are statements, any of which raises an
    error where a solution is wrong.
    """
    example = _humaneval(row) if ENTRY in row else _mbpp(row)
    names = {ENTRY: example.meta[ENTRY]}
    if "task_id" in row:
        names["task_id"] = str(row["task_id"])
    return Example(example.inputs, example.target, subset=row.get("family"), meta={**example.meta, **names})


def _humaneval(row: Mapping[str, Any]) -> Example:
    prompt, name = _text(row, "prompt"), _text(row, ENTRY)
    target = prompt + _text(row, "canonical_solution")
    functions = _functions(target, "prompt and canonical_solution")
    if name not in functions:
        raise BadRow(f"no function `{name}` in prompt and canonical_solution")
    before = "".join(prompt.splitlines(keepends=True)[: functions[name].lineno - 1])
    tests = [f"{_text(row, 'test').strip()}\ncheck({name})"]
    return Example({"prompt": prompt.strip()}, target.strip(), meta=_checked(name, before.strip(), tests))


def _mbpp(row: Mapping[str, Any]) -> Example:
    text = _text(row, "text" if "text" in row else "prompt").strip()
    code, tests = _text(row, "code").strip(), _texts(row, "test_list")
    functions = _functions(code, "code")
    called = [name for name in functions if re.search(rf"\b{re.escape(name)}\s*\(", tests[0])]
    if not called:
        raise BadRow("the first test calls no function of the code")
    name = called[-1]
    asked = text if re.search(rf"\b{re.escape(name)}\b", text) else f"{text}\nFunction: {_signature(functions[name])}"
    setup = [*_texts(row, "test_imports", least=0), row.get("test_setup_code") or ""]
    return Example({"prompt": asked}, code, meta=_checked(name, "\n".join(setup).strip(), tests))


def _checked(name: str, setup: str, tests: Sequence[str]) -> Mapping[str, Any]:
    for test in (setup, *tests):
        _functions(test, "tests")
    return {ENTRY: name, "setup": setup, "tests": list(tests)}


def _functions(source: str, where: str) -> dict[str, ast.FunctionDef]:
    """The functions that a source defines, by name, in order.

    Raises:
        BadRow: it is no Python.
    """
    try:
        return {each.name: each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadRow(f"{where}: no Python ({type(error).__name__})") from None


def _signature(function: ast.FunctionDef) -> str:
    return f"{function.name}({ast.unparse(function.args)})"


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"`{key}` is {'empty' if isinstance(value, str) else 'not text'}")
    return value


def _texts(row: Mapping[str, Any], key: str, least: int = 1) -> list[str]:
    values = row[key] if least else row.get(key) or []
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values) or len(values) < least:
        raise BadRow(f"`{key}` is no list of texts{' with a test' if least else ''}")
    return values

"""Problems in the layouts of MBPP and of HumanEval, as examples."""

import ast
import re
from collections.abc import Mapping
from typing import Any

from pipestill.layouts.example import BadRow, Example

ENTRY = "entry_point"  # a key of HumanEval alone
Problem = tuple[str, str, dict[str, Any]]  # what is asked, a solution, and the tests


def parse(row: Mapping[str, Any]) -> Example:
    """Read a problem of HumanEval (``prompt, canonical_solution, test, entry_point``) or of MBPP (``text, code,
    test_list, test_setup_code``; where it is sanitised, ``prompt`` and ``test_imports``).

    Its tests are in ``meta``, as :class:`pipestill.answers.code.problem.Problem` has them.
    """
    prompt, code, facts = _humaneval(row) if ENTRY in row else _mbpp(row)
    for source in facts.values():
        for text in source if isinstance(source, list) else [source]:
            _functions(text, "tests")
    origin = {"task_id": str(row["task_id"])} if "task_id" in row else {}
    return Example({"prompt": prompt}, code, subset=row.get("family"), meta={**origin, **facts})


def _humaneval(row: Mapping[str, Any]) -> Problem:
    prompt, name = _text(row, "prompt"), _text(row, ENTRY)
    code = prompt + _text(row, "canonical_solution")
    functions = _functions(code, "prompt and canonical_solution")
    if name not in functions:
        raise BadRow(f"no function `{name}` in prompt and canonical_solution")
    before = "".join(prompt.splitlines(keepends=True)[: functions[name].lineno - 1])
    return prompt.strip(), code.strip(), {ENTRY: name, "before": before.strip(), "check": _text(row, "test").strip()}


def _mbpp(row: Mapping[str, Any]) -> Problem:
    text = _text(row, "text" if "text" in row else "prompt").strip()
    code, tests = _text(row, "code").strip(), _texts(row, "test_list")
    functions = _functions(code, "code")
    called = [name for name in functions if re.search(rf"\b{re.escape(name)}\s*\(", tests[0])]
    if not called:
        raise BadRow("the first test calls no function of the code")
    name = called[-1]
    if not re.search(rf"\b{re.escape(name)}\b", text):
        text = f"{text}\nFunction: {name}({ast.unparse(functions[name].args)})"
    setup = "\n".join([*_texts(row, "test_imports", least=0), row.get("test_setup_code") or ""]).strip()
    return text, code, {ENTRY: name, "before": setup, "setup": setup, "tests": list(tests)}


def _functions(source: str, where: str) -> dict[str, ast.FunctionDef]:
    """The functions that a source defines, by name, in order.

    Raises:
        BadRow: it is no Python.
    """
    try:
        return {each.name: each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadRow(f"{where}: no Python ({type(error).__name__})") from None


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

"""Bodies of requests: JSON objects, read strictly."""

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from pipestill.errors import shortened
from pipestill.io.records import Json
from pipestill.serving.problems import GONE, Problem

DEEPEST = 100  # levels of a body: checks, and json when it writes, go down deeper than json when it reads


async def read_object(request: Request) -> Json:
    """The JSON object that a request holds.

    Raises:
        Problem: it holds none, or numbers or text that JSON does not have.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "the body must be JSON: send it with the header `Content-Type: application/json`")
    try:
        body = await request.body()
    except ClientDisconnect:
        raise Problem(GONE, "the client has gone") from None
    return parse_object(body)


def parse_object(body: bytes) -> Json:
    """The JSON object that ``body`` is.

    Raises:
        Problem: see :func:`read_object`.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_no_number, object_pairs_hook=_distinct)
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8: send text as UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(400, f"the body is not JSON, {error.msg} ({where}): correct it") from None
    except ValueError:  # an integer of thousands of digits
        raise Problem(400, "the body holds a number with too many digits: correct it") from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_deep(value):
        raise _too_deep()
    if not isinstance(value, dict):
        raise Problem(422, 'the body is no JSON object: send one such as {"name": "..."}')
    return value


def _too_deep() -> Problem:
    return Problem(400, "the body is nested too deeply: send a flat object")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        held = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for values in held for value in values]
    return any(isinstance(each, dict | list) for each in level)


def _no_number(name: str) -> NoReturn:
    raise Problem(400, f"the body holds {name}, which is no JSON: send numbers that are finite")


def _distinct(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Problem(400, f"the body gives `{shortened(twice)}` twice: leave one out")
    return found

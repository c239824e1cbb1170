"""Whether a value is valid by a schema: by `jsonschema`, apart from the engine that writes by it, and numbers exact."""

import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pipestill.errors import quoted, shortened
from pipestill.schemas.formats import CHECKS, has_format
from pipestill.schemas.keywords import pointer
from pipestill.text.patterns import occurs

FAULTS = 20  # that are named of one value


def exact(value: Any) -> Any:
    """A value of JSON with each float as the Decimal that it is written as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, list):
        return [exact(each) for each in value]
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items()}
    return value


def plain(value: Any) -> Any:
    """A value of JSON with each Decimal as an integer, where it is one that floats know, or as a float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def canonical(value: Any) -> str:
    """A value as JSON in one spelling: keys sorted, numbers by value (``1.50`` is ``1.5``, ``1.0`` is ``1``)."""
    if isinstance(value, dict):
        inner = ",".join(f"{json.dumps(key, ensure_ascii=False)}:{canonical(value[key])}" for key in sorted(value))
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, float | Decimal):
        number = exact(value).normalize()
        digits = len(number.as_tuple().digits) + abs(int(number.as_tuple().exponent))
        return (format(number, "f") if digits <= 30 else str(number)) if number else "0"
    return json.dumps(value, ensure_ascii=False)


def faults(schema: str, value: Any) -> list[str]:
    """What is wrong with ``value``, each with its JSON pointer; nothing of a valid one.

    Args:
        schema: as JSON.
        value: of JSON; numbers may be Decimals.

    Raises:
        UserError: a pattern of the schema takes too long.
    """
    found = []
    for error in _validator(schema).iter_errors(exact(value)):
        found.append(f"{pointer('#', *error.absolute_path)}: `{error.validator}`: {shortened(error.message, 160)}")
        if len(found) == FAULTS:
            break
    return sorted(found)


@lru_cache(maxsize=32)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: _is_integer(value))
    types = types.redefine("number", lambda _, value: isinstance(value, int | Decimal) and not isinstance(value, bool))
    checks = {"pattern": _pattern, "patternProperties": _pattern_properties, "multipleOf": _multiple, "format": _format}
    checks["additionalProperties"] = _additional
    return extend(Draft202012Validator, checks, type_checker=types)(exact(json.loads(schema)), registry=Registry())


def _is_integer(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _fault(message: str) -> Exception:
    from jsonschema import ValidationError

    return ValidationError(message)


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Exception]:
    if isinstance(value, str) and not occurs(pattern, value):
        yield _fault(f"{quoted(value)} does not match {quoted(pattern)}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[Exception]:
    for pattern, inner in patterns.items() if isinstance(value, dict) else ():
        for key in value:
            if occurs(pattern, key):
                yield from validator.descend(value[key], inner, path=key, schema_path=pattern)


def _additional(validator: Any, inner: Any, value: Any, schema: Any) -> Iterator[Exception]:
    for key in value if isinstance(value, dict) else ():
        if key in schema.get("properties", ()) or any(
            occurs(each, key) for each in schema.get("patternProperties", ())
        ):
            continue
        if inner is False:
            yield _fault(f"the property {quoted(key)} is not allowed")
        else:
            yield from validator.descend(value[key], inner, path=key)


def _multiple(validator: Any, of: Any, value: Any, schema: Any) -> Iterator[Exception]:
    if validator.is_type(value, "number") and Fraction(value) % Fraction(of):
        yield _fault(f"{value} is not a multiple of {of}")


def _format(validator: Any, name: str, value: Any, schema: Any) -> Iterator[Exception]:
    if isinstance(value, str) and name in CHECKS and not has_format(value, name):
        yield _fault(f"{quoted(value)} is no {name}")

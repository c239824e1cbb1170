"""JSON Schemas that a configuration brings along."""

from collections.abc import Iterator
from typing import Any

from pipestill.text.patterns import check_pattern, occurs

PROBES = (None, 0, "", [], {})  # one of each type


def check_json_schema(schema: dict[str, Any]) -> None:
    """Refuse an invalid JSON Schema, and a reference that leads out of it or back to itself; nothing is fetched.

    Raises:
        ValueError: names the fault and the remedy.
    """
    from jsonschema import Draft202012Validator, SchemaError  # slow to import, and seldom needed
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    validator = validator_for({"$schema": str(schema.get("$schema", ""))}, default=Draft202012Validator)
    specification = specification_with(validator.META_SCHEMA["$schema"])
    seen = set()

    def check(part: Any, resolver: Any) -> None:
        """Check ``part`` of the schema, what it refers to, and its own parts."""
        if id(part.contents) in seen:
            return
        seen.add(id(part.contents))
        try:
            validator.check_schema(part.contents)
        except SchemaError as error:
            raise ValueError(f"this is not a JSON Schema: {error.message} (at {error.json_path}); mend it") from None
        content = part.contents if isinstance(part.contents, dict) else {}
        for pattern in (*filter(None, [content.get("pattern")]), *content.get("patternProperties", ())):
            check_pattern(pattern)
        for key in {"$ref", "$dynamicRef"} & content.keys():
            reference = content[key]
            try:
                found = resolver.lookup(reference)
            except Unresolvable:
                raise ValueError(f"`{reference}` leads nowhere; put its target into the schema") from None
            check(specification.create_resource(found.contents), found.resolver)
        for inner in part.subresources():
            check(inner, resolver.in_subresource(inner))

    whole = specification.create_resource(schema)
    check(whole, REGISTRY.resolver_with_root(whole))
    try:
        for probe in PROBES:
            place_of_fault(probe, schema)
    except RecursionError:
        raise ValueError("it refers to itself before it says anything of a value; mend its `$ref`") from None


def place_of_fault(value: Any, schema: dict[str, Any]) -> str | None:
    """The place where ``value`` does not fit ``schema``; none where it fits.

    Raises:
        UserError: a pattern of the schema takes too long.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend, validator_for

    kind = extend(validator_for(schema, default=Draft202012Validator), {"pattern": _pattern})
    error = best_match(kind(schema).iter_errors(value))
    return error and error.json_path


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Exception]:
    """The keyword `pattern`, with a limit of time."""
    from jsonschema import ValidationError

    if validator.is_type(value, "string") and not occurs(pattern, value):
        yield ValidationError("it does not match `pattern`")

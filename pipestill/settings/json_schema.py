"""Checks of a JSON Schema."""

from typing import Any


def check_json_schema(schema: dict[str, Any]) -> None:
    """Refuse an invalid JSON Schema, and a reference that leads out of it; nothing is fetched.

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
        for key in {"$ref", "$dynamicRef"} & set(part.contents if isinstance(part.contents, dict) else ()):
            reference = part.contents[key]
            try:
                found = resolver.lookup(reference)
            except Unresolvable:
                raise ValueError(f"`{reference}` leads nowhere; put its target into the schema") from None
            check(specification.create_resource(found.contents), found.resolver)
        for inner in part.subresources():
            check(inner, resolver.in_subresource(inner))

    whole = specification.create_resource(schema)
    check(whole, REGISTRY.resolver_with_root(whole))

"""What is generated from the configuration's models: the JSON Schema for editors and ``docs/config.md``.

``python -m pipestill.plan.reference`` writes both; a test fails when they are out of date.
"""

import json
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from pipestill.io.files import write_text
from pipestill.plan.config import Config
from pipestill.settings.section import Section

SCHEMA = Path("resources/schemas/config.schema.json")
REFERENCE = Path("docs/config.md")

INTRODUCTION = """# Configuration

`config.yaml` is the embedded default; overlays in `resources/presets/` and your own files change parts of it:

    snakemake --cores 2 all --configfile config.yaml resources/presets/smoke.yaml my.yaml

Mappings are merged deeply, lists are replaced. Single keys at the top level can be given on the command line, after
the target: `snakemake --cores 2 all --config threads=2`. Every key is checked before any work, `-n` included; an
error names it. Missing files and a full disk are found when a run starts, before its first job. Editors complete and
check keys with `resources/schemas/config.schema.json`.

This page is generated from `pipestill/config/`, the one source of defaults and checks.
"""

TABLE_HEAD = "| key | type | default | meaning |\n|---|---|---|---|\n"


def schema() -> str:
    """The JSON Schema (2020-12) of the configuration."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    document["title"] = "pipestill configuration"
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """The tables of ``docs/config.md``: key, type, default and meaning, section by section."""
    parts = [INTRODUCTION]
    for path, section in _sections("", Config):
        title = f"`{path}`" if path else "Top level"
        parts.append(f"\n## {title}\n\n{section.__doc__.strip()}\n\n{TABLE_HEAD}")
        parts += [_row(name, field) for name, field in section.model_fields.items()]
    return "".join(parts)


def _sections(path: str, section: type[Section]) -> list[tuple[str, type[Section]]]:
    found = [(path, section)]
    if section.__name__.endswith("Override"):
        return []
    for name, field in section.model_fields.items():
        below = f"{path}.{name}".lstrip(".")
        kind = _bare(field.annotation)
        if get_origin(kind) in (Union, UnionType):
            kind = get_args(kind)[0]
        if get_origin(kind) is dict:
            kind, below = _bare(get_args(kind)[1]), f"{below}.<name>"
        elif get_origin(kind) is list:
            kind, below = _bare(get_args(kind)[0]), f"{below}[]"
        if isinstance(kind, type) and issubclass(kind, Section):
            found += _sections(below, kind)
    return found


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    return f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {meaning} |\n"


def _type(kind: Any) -> str:
    kind = _bare(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in args)
    if origin in (Union, UnionType):
        return " \\| ".join(_type(arg) for arg in args)
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return "mapping"
    if kind is type(None):
        return "none"
    if issubclass(kind, Section):
        overridden = kind.__name__.removesuffix("ConfigOverride").lower()
        return f"overrides of `{overridden}`" if kind.__name__.endswith("Override") else "section"
    return {str: "text", int: "integer", float: "number", bool: "true \\| false"}[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, Section) or field.default in ({}, None):
        return ""
    return f"`{json.dumps(field.default)}`"


def main() -> None:
    """Write the schema and the reference."""
    write_text(SCHEMA, schema())
    write_text(REFERENCE, reference())


if __name__ == "__main__":
    main()

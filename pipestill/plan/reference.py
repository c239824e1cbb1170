"""Files generated from the configuration's models: the JSON Schema for editors and ``docs/config.md``.

``python -m pipestill.plan.reference`` writes both; a test fails when they are out of date.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, create_model
from pydantic.fields import FieldInfo

from pipestill.answers.kinds import KINDS
from pipestill.io.files import write_text
from pipestill.layouts.any_rows import AnyRows
from pipestill.methods import METHODS, TEACHER_NAME
from pipestill.objectives.base import Objective
from pipestill.plan.config import Config, StudyConfig, TaskConfig
from pipestill.plan.resolve import override_section
from pipestill.settings.reruns import TOP, Above, Rules
from pipestill.settings.section import Override, Section, holds_sections, partial
from pipestill.tasks import TASKS

SCHEMA = Path("resources/schemas/config.schema.json")
REFERENCE = Path("docs/config.md")

INTRODUCTION = """# Configuration

`config.yaml` is the embedded default; overlays in `resources/presets/` and your own files change parts of it:

    snakemake --cores 2 all --configfile config.yaml resources/presets/smoke.yaml my.yaml

Mappings are merged deeply, lists are replaced. Single keys at the top level can be given on the command line, after
the target: `snakemake --cores 2 all --config threads=2`. Every key is checked before any work, `-n` included; an
error names it. Missing files, models that cannot do what is asked of them and a full disk are found when a run starts,
before its first job. Editors complete and check keys with `resources/schemas/config.schema.json`, which has the limits
of numbers too.

Snakemake reads the files before anything of this project runs: of one that is not YAML it says only that. This names
the file and the line, and checks the keys:

    pipestill check config.yaml my.yaml

Numbers are written as numbers: a text, `true` or `.inf` is refused. Names of models, tasks, studies and checkpoints
have at most 64 lower-case letters, digits, `.` and `-`.

The last column names the rules that run first when a key has changed; all that is made from their results follows, and
the report is always written again. Where it is empty, nothing else runs.

This page is generated from the sections in `pipestill/plan/config.py`, `pipestill/settings/`, and those of layouts,
answers and objectives, which are the only source of defaults and checks.
"""

TABLE_HEAD = "| key | type | default | meaning | first run again |\n|---|---|---|---|---|\n"


def schema() -> str:
    """The JSON Schema (2020-12) of the configuration."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_whole().model_json_schema()}
    document["title"] = "pipestill configuration"
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _whole() -> type[Section]:
    """The configuration with the sections that its tasks, kinds of answers and objectives have."""
    tasks = {
        name: (_filled(TaskConfig, name, data=task.layout.Options), FieldInfo(default={}))
        for name, task in TASKS.items()
    }
    options = tuple(kind.Options for kind in KINDS.values())
    definitions = tuple(kind.Definition for kind in KINDS.values() if kind.Definition)
    own = _filled(TaskConfig, "declared", data=AnyRows.Options, answers=Union[definitions])  # noqa: UP007 (a tuple of types)
    own = create_model(own.__name__, __base__=(own, partial(AnyRows.Options)), __doc__=own.__doc__)  # in short
    further = {"__annotations__": {"__pydantic_extra__": dict[str, own]}, "model_config": ConfigDict(extra="allow")}
    declared = type("Declared", (Section,), {**further, "__module__": __name__})
    names = [*METHODS, TEACHER_NAME]
    overrides = create_model(
        "Overrides", __base__=Section, **{n: (override_section(n), FieldInfo(default={})) for n in names}
    )
    study = _filled(StudyConfig, "Study", answers=Union[options], overrides=overrides)  # noqa: UP007 (a tuple of types)
    return _filled(Config, "Config", tasks=create_model("Tasks", __base__=declared, **tasks), studies=dict[str, study])


def _filled(section: type[Section], name: str, **fields: Any) -> type[Section]:
    """``section`` with the types of some fields."""
    told = {key: section.model_fields[key].description for key in fields}
    return create_model(
        name.title() + section.__name__ if section is TaskConfig else section.__name__,
        __base__=section,
        __doc__=section.__doc__,
        **{key: (kind, FieldInfo(default={}, description=told[key])) for key, kind in fields.items()},
    )


def reference() -> str:
    """The tables of ``docs/config.md``: key, type, default and meaning, section by section."""
    return "".join([INTRODUCTION, *(_table(*found) for found in _sections("", Config))])


def _table(path: str, section: type[Section], above: Above) -> str:
    title = f"`{path}`" if path else "Top level"
    rows = "".join(_row(name, field, above.of(section, name)) for name, field in section.model_fields.items())
    return f"\n## {title}\n\n{section.__doc__.strip()}\n\n{TABLE_HEAD}{rows}"


def _sections(path: str, section: type[Section], above: Above = TOP) -> Iterator[tuple[str, type[Section], Above]]:
    """A section with those below it, each with its path and what sections above it declare."""
    yield path, section, above
    if issubclass(section, Override):
        return
    for name, field in section.model_fields.items():
        for below, kind in _below(f"{path}.{name}".lstrip("."), section, name, field):
            yield from _sections(below, kind, above.below(section, name))


def _below(path: str, section: type[Section], name: str, field: FieldInfo) -> list[tuple[str, type[Section]]]:
    """Sections of one field; several where a task or an objective decides which."""
    if (section, name) == (TaskConfig, "data"):
        kinds: dict[type[Section], list[str]] = {}
        for task in TASKS.values():
            kinds.setdefault(task.layout.Options, []).append(task.name)
        return [(path.replace("<name>", _braced(names)), options) for options, names in kinds.items()]
    if (section, name) == (StudyConfig, "answers"):
        return [(f"{path} ({name})", kind.Options) for name, kind in KINDS.items()]
    if (section, name) == (TaskConfig, "answers"):
        return [(f"{path} ({name})", kind.Definition) for name, kind in KINDS.items() if kind.Definition]
    if (section, name) == (StudyConfig, "overrides"):
        own = {method: _own(entry.objective) for method, entry in METHODS.items() if entry.objective}
        return [(f"{path}.{method}.{kind.__name__}", kind) for method, kind in own.items() if kind.model_fields]
    kind = _bare(field.annotation)
    if get_origin(kind) in (Union, UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) is dict:
        kind, path = _bare(get_args(kind)[1]), f"{path}.<name>"
        kind = get_args(kind)[0] if get_origin(kind) in (Union, UnionType) else kind
    elif get_origin(kind) is list:
        kind, path = _bare(get_args(kind)[0]), f"{path}[]"
    return [(path, kind)] if isinstance(kind, type) and issubclass(kind, Section) else []


def _braced(names: list[str]) -> str:
    """A name, or several in braces as shells write them."""
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


def _own(objective: Objective) -> type[Section]:
    """Options of one method's objective beside those that all methods with such an objective have."""
    fields, common = objective.settings.model_fields, type(objective).Options.model_fields
    own = {name: (field.annotation, field) for name, field in fields.items() if name not in common}
    doc = "Options beside those of the common section."
    return create_model(objective.section or "training", __base__=Section, __doc__=doc, **own)


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _row(name: str, field: FieldInfo, rules: Rules | None) -> str:
    meaning, kind = " ".join((field.description or "").split()), _type(field.annotation)
    inner = kind == "section" or holds_sections(field.annotation)
    first = "" if inner else ", ".join(f"`{rule}`" for rule in sorted(rules or ()))
    return f"| `{name}` | {kind} | {_default(field)} | {meaning} | {first} |\n"


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
    if kind is Any:
        return "section"
    if issubclass(kind, Override):
        name = re.sub("(Config|Options)?Override$", "", kind.__name__)
        return f"overrides of `{name.lower()}`"
    if issubclass(kind, Section):
        return "section"
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

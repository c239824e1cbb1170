"""Every key of a configuration, and other values for it."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from pipestill.answers.base import Definition
from pipestill.errors import UserError
from pipestill.plan.check import check
from pipestill.plan.config import OBJECTIVES, Config, StudyConfig, TaskConfig
from pipestill.settings.reruns import TOP, Above
from pipestill.settings.section import Section, holds_sections

NAMES = ("demo-student", "demo-teacher", "demo-t5-student", "demo-bert-student", "demo-bert-teacher")
NAMES += ("dolly", "multiclinsum", "creditmix-again", "alpaca", "other.json", "https://example.org/other.zip")
POOL = (40, False, 1, 2, 3, 0.25, 0.5, True, *NAMES, "2" * 40, "2" * 64, "other", "OTHER", "2020-01-01")
POOL += (
    ["other"],
    [1],
    {"type": "object"},
    ["multiclinsum-gs-fr"],
    ["gpt-3"],
    ["sft", "teacher"],
    {"max_new_tokens": 9},
    {"Good": "fine"},
    {"entailment": "so"},
    "told",
    "base",
    "raw",
    "spare",
    "instructed",
)

TOGETHER = {  # with a key, others of its section
    ("crop", "unit"): {"tokenizer": None},
    ("spare", "privileged"): {"text": "{features} {label}"},
}


@dataclass(frozen=True)
class Key:
    """A key of a configuration.

    Attributes:
        path: to it.
        section: that it is of.
        declared: rules that run first, as it or a section above it says; none if nothing is said.
        rules: those of them that count here.
        value: that it has.
    """

    path: tuple[str | int, ...]
    section: type[Section]
    declared: frozenset[str] | None
    rules: frozenset[str] | None
    value: Any

    @property
    def place(self):
        """Its path without the names of tasks, studies and the like, and its section where such a name decides it."""
        named = ("models", "tasks", "prompts", "studies", "variants", "overrides", "checkpoints", "compress", "steps")
        named += ("files", "documents")
        parts = ["*" if above in named else part for above, part in zip(("", *self.path), self.path, strict=False)]
        common = self.path[-3:-2] == ("overrides",)  # to all methods
        return ".".join(map(str, parts)), "" if common else self.section.__name__


def keys(section: Section, path=(), above=TOP) -> Iterator[Key]:
    """All keys below a section of a checked configuration."""
    kind = type(section)
    for name, field in kind.model_fields.items():
        if isinstance(section, StudyConfig) and name == "overrides":
            yield from _overrides(section, (*path, name), above.below(kind, name))
            continue
        value, inner, place = getattr(section, name), above.below(kind, name), (*path, name)
        if _decides_sections(section, name, value):
            continue
        below = list(_sections(value, place, field.annotation))
        for where, each in below:
            yield from keys(each, where, inner)
        if not below and not holds_sections(field.annotation):
            yield Key(place, kind, Above(None, above.rules).of(kind, name), above.of(kind, name), value)


def _decides_sections(section, name, value):
    """True for what says which keys there are, or that there are none: another value is another configuration."""
    if isinstance(section, Definition):
        return name == "kind"
    return isinstance(section, TaskConfig) and name == "answers" and value is None


def _sections(value, place, annotation):
    """Sections that a value is or holds, with their paths; an override that is not given stands for one."""
    if isinstance(value, Section):
        yield place, value
    elif value is None and isinstance(annotation, type) and issubclass(annotation, Section):
        yield place, annotation()
    elif isinstance(value, dict):
        yield from (((*place, name), each) for name, each in value.items() if isinstance(each, Section))
    elif isinstance(value, list):
        yield from (((*place, index), each) for index, each in enumerate(value[:1]) if isinstance(each, Section))


def _overrides(study, place, above):
    """Keys of overrides; of an objective's, those that only its method has."""
    for method, override in study.overrides.items():
        for key in keys(override, (*place, method), above):
            section = next((part for part in key.path if part in OBJECTIVES), None)
            if section is None or key.path[-1] not in OBJECTIVES[section].model_fields:
                yield key


def changed(config: dict[str, Any], checked: Config, key: Key) -> Iterator[Config]:
    """The configuration with other valid values of a key; one that is the default elsewhere may be without effect."""
    for value in filter(_kind(key.section, key.path[-1]), _others(key)):
        other = deepcopy(config)
        inner = other
        for part in key.path[:-1]:
            inner = inner[part] if isinstance(part, int) else inner.setdefault(part, {})
        inner |= {key.path[-1]: value, **TOGETHER.get(key.path[-2:], {})}
        try:
            found = check(other)
        except UserError:
            continue
        if found != checked:
            yield found


@cache
def _kind(section, name):
    """Whether a value may be one of a key, as far as its own type says: a check of all takes milliseconds."""
    field = section.model_fields[name]
    adapter = TypeAdapter(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)

    def fits(value):
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return fits


def _others(key):
    value = key.value
    literals = list(_literals(key.section.model_fields[key.path[-1]].annotation))  # the first is the default
    yield from reversed(literals[1:] if value is None else literals)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, value * 2, value / 2)
    elif isinstance(value, list):
        yield from ([each + 1 for each in value if isinstance(each, int)] or value[:-1], value[1:], value[:-1])
    elif isinstance(value, dict):
        yield {**value, "other": 1}
    elif isinstance(value, str):
        yield from (f"{value}{{document}}", f"{value}{{features}}", f"{value}x")
    yield from POOL


def _literals(annotation):
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for inner in get_args(annotation):
        if inner is not Literal:
            yield from _literals(inner)

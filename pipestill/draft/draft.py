"""The draft of a configuration, and what is said about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from pipestill.answers.kinds import KINDS
from pipestill.draft.lengths import Lengths
from pipestill.draft.look import Look
from pipestill.draft.sizes import Tokens, epochs_for, splits_of, spread, tokens_of, training_rows
from pipestill.errors import UserError, shortened
from pipestill.io.files import read_json
from pipestill.io.records import Json
from pipestill.layouts.any_rows import AnyRows, read_any
from pipestill.layouts.rows import RowsData
from pipestill.methods import METHODS
from pipestill.plan.config import Config
from pipestill.settings.prompts import Prompt
from pipestill.settings.section import LONGEST_NAME
from pipestill.settings.tasks import Declared
from pipestill.tasks import Task, find_task
from pipestill.tasks.declared import values_of

METHODS_TRIED = ("base", "sft", "kd", "dpo")  # where the task and the teacher allow them
LISTED = 12  # labels that a prompt names
CHARACTERS = 1000  # that `max_chars` is a multiple of
DEMO_TEACHERS = {"demo-student": "demo-teacher", "demo-t5-student": "demo-t5-teacher"}


@dataclass(frozen=True)
class Draft:
    """A configuration that is not written yet.

    Attributes:
        text: of the file.
        files: further ones that it names, by path.
        said: sentences about data and settings.
    """

    text: str
    files: Mapping[str, Json]
    said: Sequence[str]


@dataclass(frozen=True)
class Models:
    """The models of a study.

    Attributes:
        student: a key of ``models``.
        teacher: one, or none.
        entries: models that the configuration has not yet, by name.
        directory: of the student's files, where they are on this machine.
        common_length: tokens that models are trained on where a study says nothing.
    """

    student: str
    teacher: str | None
    entries: Mapping[str, Json]
    directory: Path | None
    common_length: int


def draft(found: Look, name: str, models: Models, stem: str) -> Draft:
    """A study of the data that were looked at.

    Args:
        found: the look.
        name: of task and study.
        models: of the study.
        stem: how paths of further files begin.

    Raises:
        UserError: the data do not do; says why.
    """
    kind = KINDS[found.kind]
    definition = kind.Definition.drafted(found.answers)
    needed = [key for key, field in kind.Definition.model_fields.items() if field.is_required()]
    if missing := [key for key in needed if key not in ("kind", *definition)]:
        raise UserError(
            f"`{missing[0]}` of answers of the kind `{found.kind}` cannot be drafted; docs/config.md has it"
        )
    inputs = list(found.inputs) or list(kind.asked)
    columns = {own: column for own, column in found.inputs.items() if own != column}
    if found.target not in (None, kind.column):
        columns[kind.column] = found.target
    values = partial(values_of, found.path, columns, inputs, kind.column)
    whole = kind.Definition.model_validate({"kind": found.kind, **definition}).completed(values)
    task = find_task(name, Declared(kind=found.kind, answers=whole.told(), inputs=inputs))
    data = RowsData(source="file", path=str(found.path), columns=columns, ignored_columns=list(found.ignored))
    reading = AnyRows().checked(task, data, read_any(found.path, str(found.path)), str(found.path))
    wording = None if found.form else _wording(found, task.answers.classes)
    prompt = Prompt(text=wording or "\n".join(f"{{{each}}}" for each in inputs))
    splits = splits_of(reading.records, task.answers, models.teacher is not None)
    lengths = Lengths(models.directory)
    tokens = tokens_of(reading.records, prompt, lengths)
    rows = training_rows(reading.records, task.answers, splits)
    epochs = epochs_for(rows)
    longest = max(sum(map(len, record.inputs.values())) for record in reading.records)

    files = {f"{stem}.{key}.json": value for key, value in definition.items() if isinstance(value, dict)}
    answers = {"kind": found.kind, **definition}
    answers |= {key: f"{stem}.{key}.json" for key, value in definition.items() if isinstance(value, dict)}
    limited = "max_new_tokens" in kind.Definition.model_fields
    if limited:
        answers["max_new_tokens"] = tokens.max_new_tokens
    further = {"ignored_columns": list(found.ignored)} if found.ignored else {}
    if longest > data.max_chars:
        further["max_chars"] = -(-longest // CHARACTERS) * CHARACTERS
    methods = [each for each in METHODS_TRIED if _can(each, task, models.teacher)]
    limits = {"epochs": epochs, "max_length": tokens.max_length}

    counts = kind.counted(found.answers)
    said = [
        f"{found.path}: {reading.rows} rows, {reading.unusable} unusable, {reading.repeated} repeated"
        + (f" ({reading.contradictory} of them with another answer)" if reading.contradictory else ""),
        *(f"line {row['line']} is unusable: {row['reason']}" for row in reading.bad[:3]),
        *([f"answers: {', '.join(f'{label} {count}' for label, count in counts.items())}"] if counts else []),
        f"tokens{'' if lengths.known else ' (guessed by characters)'} of {models.student}: prompts "
        f"{spread(tokens.prompts)}; answers {spread(tokens.answers)}",
        f"splits: {splits['test_rows']} test and {splits['val_rows']} validation rows"
        + (", equal per label" if task.answers.classes else "")
        + (", half of the others for the teacher" if models.teacher else "")
        + f"; students learn from {rows}",
        f"settings: {epochs} epochs of {rows} rows; `max_length` {tokens.max_length} holds "
        + ("every prompt and answer" if not tokens.longer else f"all but {tokens.longer}, which lose their end")
        + (f"; `max_new_tokens` {tokens.max_new_tokens}" if limited else ""),
        *(f"assumed: {sentence}" for sentence in found.assumed),
    ]
    lines = [
        f"# {shortened(found.path.name)}: {reading.rows} rows, answers are {found.kind}; drafted by `pipestill init`",
        *([f"models: {_flow(dict(models.entries))}"] if models.entries else []),
        "tasks:",
        f"  {name}:",
        f"    answers: {_flow(answers)}{_comment(counts)}",
        f"    path: {_scalar(str(found.path))}",
        *([f"    columns: {_flow(columns)} # what is read and answered: columns of the file"] if columns else []),
        *([f"    data: {_flow(further)}"] if further else []),
        f"    splits: {_flow(splits)} # the others train; teacher_share of them the teacher",
        *([f"    prompt: {_quoted(wording)}"] if wording else []),
        "studies:",
        *_study(name, models, methods, limits, tokens),
        f"run: [{name}]",
    ]
    return Draft("\n".join(lines) + "\n", files, said)


def _study(name: str, models: Models, methods: Sequence[str], limits: Json, tokens: Tokens) -> list[str]:
    """Lines of the study: one mapping, a part in each."""
    asked = {"task": name, "student": models.student, **({"teacher": models.teacher} if models.teacher else {})}
    parts = [
        (_flow({**asked, "methods": list(methods)})[1:-1], ""),
        (f"training: {_flow(limits)}", " # passes over the rows; tokens of prompt and answer"),
    ]
    if models.teacher and tokens.max_length > models.common_length:
        parts.append((f"overrides: {{teacher: {{max_length: {tokens.max_length}}}}}", ""))
    if tokens.cramped:
        parts.append(("on_long_answer: crop", " # answers that leave no room for a prompt lose their end"))
    (first, _), *others = parts
    (last, about) = others.pop()
    lines = [f"  {name}: {{{first},", *(f"    {part},{comment}" for part, comment in others)]
    return [*lines, f"    {last}}}{about}"]


def models_of(config: Config, root: Path, student: str, teacher: str | None) -> Models:
    """The models of a study: keys of the configuration, directories, or repositories with a commit (owner/name@commit).

    A student of the project that has a teacher there gets it, where none is named; ``none`` is none.

    Raises:
        UserError: there is no such model.
    """
    entries: dict[str, Json] = {}
    found = []
    for given in (student, teacher or DEMO_TEACHERS.get(student) or "none"):
        name, entry, directory = _model(config, root, given)
        found.append((name, directory))
        if name and entry:
            entries[name] = entry
    (learner, directory), (master, _) = found
    if learner is None:
        raise UserError("a study needs a student; name one by --student")
    return Models(learner, master, entries, directory, config.training.max_length)


def _model(config: Config, root: Path, given: str) -> tuple[str | None, Json | None, Path | None]:
    """Name, entry of the configuration where it has none, and directory of a model."""
    if given == "none":
        return None, None, None
    if given in config.models:
        return given, None, config.models[given].locate(root)
    if Path(given).is_dir():
        kind = "seq2seq" if read_json(Path(given) / "config.json").get("is_encoder_decoder") else "causal"
        return name_of(Path(given).resolve().name), {"source": "path", "path": given, "kind": kind}, Path(given)
    repository, _, commit = given.partition("@")
    if "/" not in repository or not commit:
        raise UserError(
            f"`{shortened(given)}` is no model: name a key of `models` ({', '.join(config.models)}), a directory, or a "
            "repository of the hub with its commit, as in owner/name@<40 hex digits>"
        )
    return name_of(repository.rpartition("/")[2]), {"source": "hub", "repo": repository, "revision": commit}, None


def name_of(text: str) -> str:
    """A text as names of tasks, studies and models are written."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[: LONGEST_NAME // 2].rstrip("-.")
    return name if re.match("[a-z]", name) else f"my-{name}".rstrip("-")


def _can(method: str, task: Task, teacher: str | None) -> bool:
    objective = METHODS[method].objective
    if objective is None:
        return True
    return not objective.lacks(task.answers) and (objective.teacher == "unused" or teacher is not None)


def _wording(found: Look, labels: Sequence[str]) -> str:
    """The question: what the column of the answers is called, with the labels where there are few, and the inputs."""
    asked = _braced(found.target)
    named = f": {', '.join(map(_braced, labels))}" if 0 < len(labels) <= LISTED else ""
    gaps = [f"{{{name}}}" for name in found.inputs]
    told = gaps if len(gaps) == 1 else [f"{_braced(found.inputs[gap[1:-1]])}: {gap}" for gap in gaps]
    question = f"Which {asked} is it{named}?" if labels else f"Write the {asked}."
    return "\n".join([question, *told])


def _braced(text: str) -> str:
    """A name on one line, as wordings have it."""
    return " ".join(text.split()).replace("{", "{{").replace("}", "}}")


def _comment(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    fewest, most = min(counts.values()), max(counts.values())
    return f" # {fewest} rows each" if fewest == most else f" # {fewest} to {most} rows each"


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf")
    ).strip()


def _scalar(text: str) -> str:
    return _flow([text])[1:-1]


def _quoted(text: str) -> str:
    """A text in double quotes, on one line."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()

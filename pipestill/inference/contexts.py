"""The context of a run: demonstrations that a seed draws, as many as fit beside the longest question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipestill.answers.demonstrations import Demonstrations
from pipestill.errors import UserError
from pipestill.inference.loaded import Loaded
from pipestill.io.files import read_json
from pipestill.io.records import Json, Record, iterate_jsonl
from pipestill.settings.contexts import InContextSettings
from pipestill.settings.jobs import Asking
from pipestill.tasks import Task
from pipestill.text.context import NO_CONTEXT, Context

CONTEXT = "context.json"


@dataclass(frozen=True)
class DrawnContext:
    """A context, and how it was drawn.

    Attributes:
        context: that stands before each question.
        ids: of the records that are its demonstrations.
        shots: demonstrations that were asked for.
        tokens: of the context and the longest question.
    """

    context: Context
    ids: Sequence[str]
    shots: int
    tokens: int

    def row(self) -> Json:
        """The content of ``context.json``."""
        own = {"shots": self.shots, "read": len(self.ids), "ids": list(self.ids), "longest": self.tokens}
        return own | {**vars(self.context), "demonstrations": [list(pair) for pair in self.context.demonstrations]}


def training_records(records: Sequence[Record], rows: Path) -> list[Record]:
    """The training records that a study's students learn from: those whose ids its training file has.

    Raises:
        UserError: a record is missing.
    """
    ids = [row["id"] for row in iterate_jsonl(rows)]
    wanted = set(ids)
    known = {record.id: record for record in records if record.split == "train" and record.id in wanted}
    if missing := [name for name in ids if name not in known]:
        raise UserError(f"{rows} has the row {missing[0]}, which is no training record: make the file again")
    return [known[name] for name in ids]


def draw_context(
    settings: InContextSettings,
    task: Task,
    asking: Asking,
    loaded: Loaded,
    records: Sequence[Record],
    pool: Sequence[Record],
    seed: int,
) -> DrawnContext:
    """The context of the run with ``seed``.

    Args:
        settings: how many demonstrations, and what becomes of those that do not fit.
        task: of the records.
        asking: the prompt that questions and demonstrations share, and its lengths.
        loaded: the model that reads them.
        records: that are asked about.
        pool: training records to draw from.
        seed: of the draw.

    Raises:
        UserError: there are too few records, or not all demonstrations fit and that stops the run.
    """
    chosen = Demonstrations(pool, task.answers, seed).take(settings.shots)
    prompt = asking.prompt
    solved = [(prompt.fill(each.inputs), prompt.answer(each.target)) for each in chosen]
    encoder = loaded.encoder(prompt)
    questions = {prompt.fill(each.inputs) for each in records if each.split in ("validation", "test")}
    longest = max(sorted(questions), key=lambda text: len(encoder(text, asking.max_prompt_tokens)))
    room = room_of(loaded.model, settings.max_tokens)

    def read(shots: int) -> tuple[Context, int]:
        context = Context(settings.instruction, tuple(solved[:shots]), prompt.separator)
        own = replace(loaded, context=context).encoder(prompt)
        return context, len(own(longest, asking.max_prompt_tokens)) + asking.max_new_tokens

    shots = len(solved)
    context, tokens = read(shots)
    while room is not None and tokens > room:
        if settings.on_overflow == "stop" or shots == 0:
            raise UserError(
                f"{shots} demonstrations and the longest question take {tokens} tokens, and there is room for {room}: "
                "lower `icl.shots`, raise `icl.max_tokens` if the model reads more, or set `icl.on_overflow: reduce`"
            )
        shots -= 1
        context, tokens = read(shots)
    return DrawnContext(context, [each.id for each in chosen[:shots]], settings.shots, tokens)


def room_of(model: object, limit: int | None) -> int | None:
    """Tokens that a model reads at most; none where it knows no limit and none is set."""
    config = model.config.get_text_config(decoder=True)
    own = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
    return min((each for each in (*own, limit) if each), default=None)


def read_context(run: Path) -> Context:
    """The context of a run that was predicted, which may be none."""
    path = Path(run) / CONTEXT
    if not path.is_file():
        return NO_CONTEXT
    row = read_json(path)
    return Context(row["instruction"], tuple(map(tuple, row["demonstrations"])), row["separator"])

"""Forms of rows that other tools write, recognised by their columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipestill.layouts.example import BadRow

Content = Mapping[str, Any]  # a raw row
SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


@dataclass(frozen=True)
class Said:
    """What a row in such a form says.

    Attributes:
        text: the prompt.
        target: the answer.
        rejected: a worse one, where the form has it.
    """

    text: str
    target: str
    rejected: str | None = None


@dataclass(frozen=True)
class Form:
    """A form of rows.

    Attributes:
        title: what it is called.
        columns: that tell it from others; there may be more.
        read: a row to what it says; raises :class:`BadRow`.
    """

    title: str
    columns: tuple[str, ...]
    read: Callable[[Content], Said]


def form_of(row: Content, own: Sequence[str]) -> Form | None:
    """The form of a row; none where it has the columns that a task reads by itself."""
    if all(name in row for name in own):
        return None
    return next((form for form in FORMS if all(column in row for column in form.columns)), None)


def _of_messages(row: Content) -> Said:
    asked, answer = _divided(row["messages"], "messages")
    return Said(_written(asked, "messages"), answer)


def _of_completion(row: Content) -> Said:
    return Said(_prompt(row["prompt"]), _answer(row["completion"], "completion"))


def _of_preference(row: Content) -> Said:
    chosen, rejected = (_answer(row[name], name) for name in ("chosen", "rejected"))
    if "prompt" in row:
        return Said(_prompt(row["prompt"]), chosen, rejected)
    if isinstance(row["chosen"], str):
        raise BadRow("`prompt` is missing")
    return Said(_written(_divided(row["chosen"], "chosen")[0], "chosen"), chosen, rejected)


def _of_instruction(row: Content) -> Said:
    texts = [_text(row[name], name) for name in ("instruction", "input") if name in row and row[name] is not None]
    return Said("\n\n".join(filter(str.strip, texts)), _text(row["output"], "output"))


FORMS = (
    Form("preferences (prompt, chosen, rejected)", ("chosen", "rejected"), _of_preference),
    Form("prompt and completion", ("prompt", "completion"), _of_completion),
    Form("messages of a chat", ("messages",), _of_messages),
    Form("Alpaca (instruction, input, output)", ("instruction", "output"), _of_instruction),
)


def _prompt(value: Any) -> str:
    """A prompt that is text, or messages that end before the answer."""
    return value if isinstance(value, str) else _written(_messages(value, "prompt"), "prompt")


def _answer(value: Any, name: str) -> str:
    """An answer that is text, or messages of which it is the last."""
    return value if isinstance(value, str) else _divided(value, name)[1]


def _divided(value: Any, name: str) -> tuple[list[Content], str]:
    """Messages before the last turn, and that turn's text, which must be the assistant's."""
    messages = _messages(value, name)
    while messages and messages[-1]["role"] != "assistant":
        messages = messages[:-1]
    if not messages:
        raise BadRow(f"`{name}` has no turn of the assistant")
    return messages[:-1], _content(messages[-1], name)


def _messages(value: Any, name: str) -> list[Content]:
    if not isinstance(value, list) or not all(isinstance(each, dict) and "role" in each for each in value):
        raise BadRow(f"`{name}` is no list of messages with `role` and `content`")
    return value


def _written(messages: Sequence[Content], name: str) -> str:
    """Messages as one text: of one question only its text, of a dialogue who speaks as well."""
    turns = [each for each in messages if each["role"] not in ("system", "developer")]
    if not turns:
        raise BadRow(f"`{name}` has nothing before the answer")
    first = [_content(each, name) for each in messages if each not in turns]
    if len(turns) == 1:
        return "\n\n".join([*first, _content(turns[0], name)])
    said = [f"{SPEAKERS.get(each['role'], each['role'])}: {_content(each, name)}" for each in turns]
    return "\n\n".join([*first, "\n".join(said)])


def _content(message: Content, name: str) -> str:
    """The text of a message, whose parts may be listed."""
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            raise BadRow(f"`{name}` has a part that is not text")
        content = "".join(_text(part.get("text"), name) for part in content)
    return _text(content, name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadRow(f"`{name}` is not text")
    return value

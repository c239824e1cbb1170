"""What a chat request asks, checked."""

import hashlib
import secrets
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.serving.chat_body import ChatBody, Message
from pipestill.serving.infer import given
from pipestill.serving.problems import Problem
from pipestill.serving.serving import Asked, Serving
from pipestill.serving.shelf import Exhibit
from pipestill.tasks import Task


@dataclass(frozen=True)
class Chat:
    """A request that is checked.

    Attributes:
        body: of it.
        exhibit: the experiment.
        asked: the question, once for each answer.
        head: what its answer and events begin with.
    """

    body: ChatBody
    exhibit: Exhibit
    asked: Sequence[Asked]
    head: Json


def writers(exhibits: Iterable[Exhibit]) -> list[Exhibit]:
    """Experiments that write text."""
    return [each for each in exhibits if each.task.answers.written]


def find_writer(serving: Serving, name: str) -> Exhibit:
    """The experiment that a client names as a model.

    Raises:
        Problem: there is none, or it writes no text.
    """
    try:
        exhibit = serving.shelf.find(name)
    except Problem as problem:
        if problem.status != 404:
            raise
        known = ", ".join(each.name for each in writers(serving.shelf.all())) or "none"
        detail = f"there is no such model: this server has {known}"
    else:
        if exhibit.task.answers.written:
            return exhibit
        detail = f"`{exhibit.name}` writes no text: ask it at /infer/{exhibit.name}"
    raise Problem(404, detail, param="model", code="model_not_found")


def text_of(name: str, messages: Sequence[Message]) -> str:
    """The text of the only message.

    Raises:
        Problem: there are others, or it is not all text.
    """
    message = messages[0]
    if len(messages) > 1 or message.role != "user":
        detail = (
            f"`{name}` was trained to answer one question at a time, without a system message and earlier turns: send "
            "one message of the role `user` with all that it has to know"
        )
        raise Problem(400, detail, param="messages", code="unsupported_messages")
    texts = []
    for number, part in enumerate(message.content):
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            param = f"messages.0.content.{number}"
            detail = f"`{param}` is no text: send parts such as {{'type': 'text', 'text': '...'}}, nothing is fetched"
            raise Problem(400, detail, param=param, code="unsupported_content")
        texts.append(part["text"])
    return "\n".join(texts)


def options_of(task: Task, body: ChatBody, limit: int) -> Json:
    """Options of the task's answers that a body asks for.

    Args:
        limit: tokens that the model itself may write.

    Raises:
        UserError: there are no such answers.
    """
    options: Json = {}
    if body.temperature == 0:
        options["sampling"] = False
    elif body.temperature is not None or (body.top_p or 1) < 1:
        options |= {"sampling": True, "temperature": body.temperature or 1.0}
        options |= {} if body.top_p is None else {"top_p": body.top_p}
    if body.limit is not None and body.limit < limit:
        options["max_new_tokens"] = body.limit
    if form := body.response_format:
        if (form.type == "json_schema") != (form.json_schema is not None):
            raise UserError("`json_schema` is given with the type `json_schema` and no other: correct the format")
        options |= task.answers.formatted(form.type, form.json_schema and form.json_schema.schema_)
    return options


def chat_of(serving: Serving, body: ChatBody, seed: int | None) -> Chat:
    """The request that a body is.

    Args:
        seed: of the experiment's run; none: the first.

    Raises:
        Problem: it cannot be asked.
    """
    exhibit = find_writer(serving, body.model)
    task, asking = exhibit.task, exhibit.run(seed).settings.asking
    first = {task.inputs[0]: text_of(exhibit.name, body.messages)}
    try:
        own = options_of(task, body, asking.max_new_tokens - asking.rationale_tokens)
    except UserError as error:
        raise Problem(400, str(error), param="response_format", code="unsupported_value") from None
    if twice := sorted(body.pipestill.keys() & (first | own).keys()):
        detail = f"`{twice[0]}` is given twice: leave it out of `pipestill`"
        raise Problem(400, detail, param=f"pipestill.{twice[0]}", code="invalid_value")
    try:
        found = given(task, {**body.pipestill, **own, **first}, serving.settings.allow_schemas)
    except Problem as problem:
        raise Problem(400, problem.detail, param="pipestill", code="invalid_value") from None
    try:
        one = serving.ask(exhibit, seed, found.inputs, found.fields, found.options)
    except UserError as error:
        raise Problem(400, str(error), code="invalid_value") from None
    start = secrets.randbelow(2**32) if body.seed is None else body.seed
    drawn = [replace(one.question, sampling_seed=start + number) for number in range(body.n)]
    fingerprint = hashlib.sha256(repr((exhibit.name, seed, exhibit.stamp)).encode()).hexdigest()[:12]
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk" if body.stream else "chat.completion",
        "created": int(time.time()),
        "model": exhibit.name,
        "system_fingerprint": f"fp_{fingerprint}",
    }
    return Chat(body, exhibit, [replace(one, question=question) for question in drawn], head)

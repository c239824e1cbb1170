"""`POST /infer/{experiment}`: one question, one answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipestill.answers.base import AnswerOptions
from pipestill.errors import UserError, shortened
from pipestill.io.records import Json
from pipestill.serving.body import read_object
from pipestill.serving.problems import Problem
from pipestill.serving.serving import Answered, Asked, Serving
from pipestill.tasks import Task

INFER = "/infer/{experiment}"


@dataclass(frozen=True)
class Given:
    """What the body of a request gives."""

    inputs: Mapping[str, str]
    fields: Mapping[str, str]
    options: Mapping[str, object]


@cache
def options_of(options: type[AnswerOptions], allow_schemas: bool) -> tuple[str, ...]:
    """Names of options that requests may give."""
    return tuple(name for name in options.asked() if allow_schemas or name not in options.trusted)


def given(task: Task, body: Json, allow_schemas: bool) -> Given:
    """The inputs, fields and options of a body.

    Raises:
        Problem: it has others, or texts that are none.
    """
    options = task.answers.Options
    known = (*task.inputs, *task.layout.fields, *options_of(options, allow_schemas))
    for name in body:
        if name not in known:
            if name in options.trusted:
                raise Problem(
                    422, f"`{name}` comes from clients only where the server was started with --allow-schemas"
                )
            raise Problem(422, f"`{shortened(name)}` is unknown here: send {', '.join(known)}")
    for name in options.trusted & body.keys():  # a text could be the name of a file
        if not isinstance(body[name], dict):
            raise Problem(422, f"`{name}` is no JSON object: send the schema itself")
    texts: dict[str, str] = {}
    for name in (*task.inputs, *task.layout.fields):
        if name not in body:
            continue
        if not isinstance(body[name], str):
            raise Problem(422, f"`{name}` is no text: send it in quotation marks")
        texts[name] = body[name]
    inputs = {name: text for name, text in texts.items() if name in task.inputs}
    fields = {name: text for name, text in texts.items() if name not in inputs}
    return Given(inputs, fields, {name: body[name] for name in body if name not in texts})


def asked_of(serving: Serving, name: str, seed: int | None, body: Json) -> Asked:
    """What a body asks.

    Raises:
        Problem: it cannot be asked.
    """
    exhibit = serving.shelf.find(name)
    found = given(exhibit.task, body, serving.settings.allow_schemas)
    try:
        return serving.ask(exhibit, seed, found.inputs, found.fields, found.options)
    except UserError as error:
        raise Problem(422, str(error)) from None


def seed_of(request: Request) -> int | None:
    """The seed that a request names.

    Raises:
        Problem: it is no number.
    """
    text = request.query_params.get("seed")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise Problem(422, "`seed` is no number of a run: leave it out, or name one that /studies lists")
    return int(text)


def shown(answered: Answered) -> Json:
    """The fields of an answer that its kind declares."""
    names = answered.asked.exhibit.task.answers.Reply.model_fields
    return {name: answered.reply[name] for name in names if name in answered.reply}


def route(serving: Serving) -> Route:
    """The route, of Starlette's own kind: it checks its parameters itself, and openapi.py describes it."""

    async def infer(request: Request) -> Response:
        seed, body = seed_of(request), await read_object(request)
        name, size = request.path_params["experiment"], len(await request.body())

        async def answer() -> Answered:
            asked = await serving.prepared(size, lambda: asked_of(serving, name, seed, body))
            request.scope["experiment"] = asked.exhibit.name
            return await serving.answer(asked)

        answered = await serving.until(request, answer())
        return JSONResponse(shown(answered), headers=answered.headers)

    return Route(INFER, infer, methods=["POST"])

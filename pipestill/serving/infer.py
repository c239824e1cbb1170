"""`POST /infer/{experiment}`: one question, one answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pipestill.errors import UserError, shortened
from pipestill.io.records import Json
from pipestill.serving.body import read_object
from pipestill.serving.problems import Problem
from pipestill.serving.serving import Answered, Asked, Serving
from pipestill.tasks import Task


@dataclass(frozen=True)
class Given:
    """What the body of a request gives."""

    inputs: Mapping[str, str]
    fields: Mapping[str, str]
    options: Mapping[str, object]


def given(task: Task, body: Json, allow_schemas: bool) -> Given:
    """The inputs, fields and options of a body.

    Raises:
        Problem: it has others, or texts that are none.
    """
    options = task.answers.Options
    asked = options.asked() if allow_schemas else [name for name in options.asked() if name not in options.trusted]
    known = (*task.inputs, *task.layout.fields, *asked)
    for name in body:
        if name not in known:
            if name in options.trusted:
                raise Problem(
                    422, f"`{name}` comes from clients only where the server was started with --allow-schemas"
                )
            raise Problem(422, f"`{shortened(name)}` is unknown here: send {', '.join(known)}")
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
        return serving.ask(exhibit.name, seed, found.inputs, found.fields, found.options)
    except UserError as error:
        raise Problem(422, str(error)) from None


def shown(answered: Answered) -> Json:
    """The body of an answer: the fields of its kind."""
    kind = answered.asked.exhibit.task.answers.Reply
    return {name: answered.reply[name] for name in kind.model_fields if name in answered.reply}


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.post("/infer/{experiment}", include_in_schema=False)  # openapi.py shows a path for each experiment
    async def infer(request: Request, experiment: str, seed: int | None = None) -> Response:
        body = await read_object(request)
        asked = asked_of(serving, experiment, seed, body)
        request.path_params["named"] = asked.exhibit.name
        answered = await serving.until(request, serving.answer(asked))
        return JSONResponse(shown(answered), headers=answered.headers)

    return routes

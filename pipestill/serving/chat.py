"""`/v1/models` and `/v1/chat/completions`: experiments that write text, for clients of OpenAI's API."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from pipestill.io.records import Json
from pipestill.serving.body import read_object
from pipestill.serving.chat_answer import completed
from pipestill.serving.chat_body import MOST_CHOICES, MOST_STOPS, read_chat
from pipestill.serving.chat_request import chat_of, find_writer, writers
from pipestill.serving.chat_stream import streamed
from pipestill.serving.serving import SHORT, Serving
from pipestill.serving.shelf import Exhibit


def model_row(serving: Serving, exhibit: Exhibit) -> Json:
    """A model as JSON."""
    asking = exhibit.first.settings.asking
    return {
        "id": exhibit.name,
        "object": "model",
        "created": exhibit.predicted,
        "owned_by": "pipestill",
        "title": exhibit.title,
        "study": exhibit.study,
        "task": exhibit.task.name,
        "inputs": [*exhibit.task.inputs, *exhibit.task.layout.fields],
        "limits": {
            "prompt_tokens": asking.max_prompt_tokens,
            "completion_tokens": asking.max_new_tokens,
            "choices": MOST_CHOICES,
            "stops": MOST_STOPS,
            "waiting_requests": serving.settings.queue,
        },
    }


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/v1/models")
    def models() -> Json:
        """Experiments that write text, and their limits."""
        return {"object": "list", "data": [model_row(serving, each) for each in writers(serving.shelf.all())]}

    @routes.get("/v1/models/{model}")
    def model(model: str) -> Json:
        """One of them."""
        return model_row(serving, find_writer(serving, model))

    @routes.post("/v1/chat/completions")
    async def completions(request: Request, seed: int | None = None) -> Response:
        """Ask an experiment that writes text; `seed` in the query is that of its run."""
        body, size = read_chat(await read_object(request)), int(request.headers.get("content-length", SHORT))
        chat = await serving.prepared(size, lambda: chat_of(serving, body, seed))
        request.scope["experiment"] = chat.exhibit.name
        return await (streamed if body.stream else completed)(serving, request, chat)

    return routes

"""`/v1/models` and `/v1/chat/completions`: experiments that write text, for clients of OpenAI's API."""

import asyncio
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.serving.body import read_object
from pipestill.serving.chat_body import MOST_CHOICES, MOST_STOPS, ChatBody, Message, read_chat
from pipestill.serving.choice import Choice
from pipestill.serving.infer import given, shown
from pipestill.serving.problems import Problem, unexpected
from pipestill.serving.serving import Answered, Asked, Serving
from pipestill.serving.shelf import Exhibit
from pipestill.tasks import Task

T = TypeVar("T")
SAID = frozenset({"model_name", "prediction", "rationale"})  # of a reply, elsewhere in an answer
GOING: Json = {"finish_reason": None, "logprobs": None}
Happened = tuple[int, Answered | Problem | None]  # to which choice, and what: none is more text
EVENTS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # a stream is not to be held back on its way


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
    start = secrets.randbelow(2**32) if body.seed is None else body.seed
    try:
        asked = [
            serving.ask(exhibit, seed, found.inputs, found.fields, found.options, start + number)
            for number in range(body.n)
        ]
    except UserError as error:
        raise Problem(400, str(error), code="invalid_value") from None
    fingerprint = hashlib.sha256(repr((exhibit.name, seed, exhibit.stamp)).encode()).hexdigest()[:12]
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk" if body.stream else "chat.completion",
        "created": int(time.time()),
        "model": exhibit.name,
        "system_fingerprint": f"fp_{fingerprint}",
    }
    return Chat(body, exhibit, asked, head)


def usage_of(answers: Sequence[Answered]) -> Json:
    """Tokens of a request: of its prompt, and of all its answers."""
    prompt, completion = answers[0].reply["prompt_tokens"], sum(each.reply["written_tokens"] for each in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def reasoning_of(answered: Answered) -> Json:
    """What was written before an answer, where the model writes such."""
    rationale = answered.reply.get("rationale")
    return {} if rationale is None else {"reasoning_content": rationale}


def end_of(choice: Choice, answered: Answered) -> Json:
    """Why an answer ended, and what the experiment knows beside it."""
    finish = "stop" if choice.stopped or answered.reply["ended"] else "length"
    known = {name: value for name, value in shown(answered).items() if name not in SAID}
    own = {"seed": answered.asked.target.seed, **known, "cropped": answered.reply["cropped"]}
    return {"finish_reason": finish, "logprobs": None, "pipestill": own}


async def together(works: Sequence[Awaitable[T]]) -> list[T]:
    """The results of all; when one fails, the others are given up."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def completed(serving: Serving, request: Request, chat: Chat) -> Response:
    """All answers at once."""
    choices = [Choice(chat.body.stop) for _ in chat.asked]
    works = [
        serving.answer(asked, choice.heard if chat.body.stop else None)
        for asked, choice in zip(chat.asked, choices, strict=True)
    ]
    answers = await serving.until(request, together(works))
    rows = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": choice.text if choice.stopped else answered.reply["prediction"],
                **reasoning_of(answered),
            },
            **end_of(choice, answered),
        }
        for index, (choice, answered) in enumerate(zip(choices, answers, strict=True))
    ]
    return JSONResponse({**chat.head, "choices": rows, "usage": usage_of(answers)}, headers=answers[0].headers)


class Stream:
    """The answers of a request while they are written.

    Args:
        serving: answers.
        chat: the request.
    """

    def __init__(self, serving: Serving, chat: Chat):
        self.serving, self.chat = serving, chat
        self.deadline = time.monotonic() + serving.settings.request_seconds
        self.happened: asyncio.Queue[Happened] = asyncio.Queue()
        self.answers: dict[int, Answered] = {}
        self.untold = [""] * len(chat.asked)  # text by choice; what comes while a client is slow is one event
        self.tell = partial(asyncio.get_running_loop().call_soon_threadsafe, self._hear)
        self.choices = [Choice(chat.body.stop, partial(self.tell, index)) for index in range(len(chat.asked))]
        self.tasks = [asyncio.ensure_future(self._answer(index)) for index in range(len(chat.asked))]

    def _hear(self, index: int, piece: str) -> None:
        if not self.untold[index]:
            self.happened.put_nowait((index, None))
        self.untold[index] += piece

    async def _answer(self, index: int) -> None:
        choice = self.choices[index]
        try:
            answered = await self.serving.answer(self.chat.asked[index], choice.heard)
        except Problem as problem:
            self.happened.put_nowait((index, problem))
        except Exception as error:
            self.happened.put_nowait((index, unexpected(error)))
        else:
            choice.finish()
            await asyncio.sleep(0)  # pieces that the other thread has told come first
            self.happened.put_nowait((index, answered))

    async def next(self) -> Happened:
        """What happens next."""
        return await self.happened.get()

    def close(self) -> None:
        """Give up what is not answered."""
        for task in self.tasks:
            task.cancel()

    async def events(self, first: Happened) -> AsyncIterator[str]:
        """Server-sent events, of which ``first`` has happened."""
        try:
            for index in range(len(self.choices)):
                yield self._event(index, {"role": "assistant", "content": ""})
            index, what = first
            while True:
                if isinstance(what, Problem):
                    yield _data(what.error)
                    return
                if what is None:
                    text, self.untold[index] = self.untold[index], ""
                    yield self._event(index, {"content": text})
                else:
                    self.answers[index] = what
                    yield self._event(index, reasoning_of(what), end_of(self.choices[index], what))
                if len(self.answers) == len(self.choices):
                    break
                index, what = await self._in_time()
            if self._says_usage:
                usage = usage_of([self.answers[index] for index in range(len(self.choices))])
                yield _data({**self.chat.head, "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
        finally:
            self.close()

    async def _in_time(self) -> Happened:
        try:
            return await asyncio.wait_for(self.next(), self.deadline - time.monotonic())
        except TimeoutError:
            seconds = f"{self.serving.settings.request_seconds:g}"
            return 0, Problem(504, f"the answer was not whole within {seconds} seconds: ask for less text")

    @property
    def _says_usage(self) -> bool:
        options = self.chat.body.stream_options
        return options is not None and options.include_usage

    def _event(self, index: int, delta: Json, end: Json = GOING) -> str:
        choice = {"index": index, "delta": delta, **end}
        usage: Json = {"usage": None} if self._says_usage else {}
        return _data({**self.chat.head, "choices": [choice], **usage})


async def streamed(serving: Serving, request: Request, chat: Chat) -> Response:
    """Answers while they are written; what fails before the first word fails as a whole."""
    stream = Stream(serving, chat)
    try:
        first = await serving.until(request, stream.next())
        if isinstance(first[1], Problem):
            raise first[1]
    except BaseException:
        stream.close()
        raise
    return StreamingResponse(stream.events(first), headers=EVENTS, media_type="text/event-stream")


def _data(value: Any) -> str:
    return f"data: {json.dumps(value)}\n\n"


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
        body = read_chat(await read_object(request))
        chat = chat_of(serving, body, seed)
        request.path_params["named"] = chat.exhibit.name
        return await (streamed if body.stream else completed)(serving, request, chat)

    return routes

"""Answers of a chat request while they are written, as server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pipestill.io.records import Json
from pipestill.serving.chat_answer import end_of, reasoning_of, usage_of
from pipestill.serving.chat_request import Chat
from pipestill.serving.choice import Choice
from pipestill.serving.problems import Problem, unexpected
from pipestill.serving.serving import Answered, Serving

GOING: Json = {"finish_reason": None, "logprobs": None}
Happened = tuple[int, Answered | Problem | None]  # to which choice, and what: none is more text
EVENTS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # a stream is not to be held back on its way


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


def _data(value: Json) -> str:
    return f"data: {json.dumps(value)}\n\n"

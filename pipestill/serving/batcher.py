"""The batcher: requests that queued while the model worked are answered as one batch, and none waits for others."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.serving.pool import Model
from pipestill.serving.problems import Problem, unexpected
from pipestill.settings.jobs import Asking

Heard = Callable[[str], bool]


@dataclass(eq=False)
class Ticket:
    """A request in the queue.

    Attributes:
        model: that is asked.
        asking: how.
        key: requests with the same model and key may be one batch.
        prompt: the question.
        tokens: at most, with those that are written.
        reply: becomes what the model answers.
        listen: is told the text so far of an answer that is being written, in the worker's thread; none: nobody listens.
        gone: nobody waits for the answer any more.
        queued: when it was put into the queue, in seconds of ``time.perf_counter``.
        started: when the model began.
        ended: when it had answered.
        batch: requests that were answered with it.
    """

    model: Model
    asking: Asking
    key: str
    prompt: str
    tokens: int
    reply: "asyncio.Future[Json]"
    listen: Heard | None = None
    gone: bool = False
    queued: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    ended: float = 0.0
    batch: int = 0

    def hear(self, text: str) -> bool:
        """Pass on the text so far; whether the rest is wanted."""
        return not self.gone and (self.listen is None or self.listen(text))


class Batcher:
    """One thread that answers what is in the queue.

    Args:
        batch_tokens: tokens of a batch, see :class:`Ticket`; a batch has one request at least.
        watch: is told of each batch.
    """

    def __init__(self, batch_tokens: int, watch: Callable[[Sequence[Ticket]], None] = lambda batch: None):
        self.batch_tokens, self._watch = batch_tokens, watch
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="answer", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer what is in the queue, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    async def submit(self, ticket: Ticket) -> Json:
        """What the model answers.

        Raises:
            Problem: it cannot.
        """
        with self._changed:
            self._queue.append(ticket)
            self._changed.notify()
        try:
            return await ticket.reply
        finally:
            ticket.gone = True

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[Ticket]:
        """The oldest request and those that go with it; none when all is done."""
        with self._changed:
            while True:
                batch = self._take()
                if batch or self._closed:
                    return batch
                self._changed.wait()

    def _take(self) -> list[Ticket]:
        batch: list[Ticket] = []
        others: deque[Ticket] = deque()
        room = self.batch_tokens
        for ticket in self._queue:
            if ticket.gone:
                continue
            first = batch[0] if batch else ticket
            fits = not batch or ticket.tokens <= room
            if ticket.model is first.model and ticket.key == first.key and fits:
                batch.append(ticket)
                room -= ticket.tokens
            else:
                others.append(ticket)
        self._queue = others
        return batch

    def _answer(self, batch: list[Ticket]) -> None:
        started = time.perf_counter()
        for ticket in batch:
            ticket.started, ticket.batch = started, len(batch)
        replies: list[Json | Problem]
        try:
            replies = list(self._replies(batch))
        except Exception as error:
            replies = [_failed(error)] if len(batch) == 1 else [self._alone(ticket) for ticket in batch]
        ended = time.perf_counter()
        for ticket in batch:
            ticket.ended = ended
        self._watch(batch)
        loop = batch[0].reply.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_hand_out, batch, replies)

    def _alone(self, ticket: Ticket) -> "Json | Problem":
        """The answer to a request whose batch has failed."""
        try:
            return self._replies([ticket])[0]
        except Exception as error:
            return _failed(error)

    def _replies(self, batch: list[Ticket]) -> Sequence[Json]:
        first = batch[0]

        def listen(place: int, text: str) -> bool:
            return batch[place].hear(text)

        return first.model.replies(first.asking, [ticket.prompt for ticket in batch], listen)


def _hand_out(batch: Sequence[Ticket], replies: "Sequence[Json | Problem]") -> None:
    for ticket, reply in zip(batch, replies, strict=True):
        if ticket.reply.done():
            continue
        if isinstance(reply, Problem):
            ticket.reply.set_exception(reply)
        else:
            ticket.reply.set_result(reply)


def _failed(error: Exception) -> Problem:
    """Why a request was not answered."""
    return Problem(422, str(error)) if isinstance(error, UserError) else unexpected(error)

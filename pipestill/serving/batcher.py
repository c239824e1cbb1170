"""The batcher: requests that queued while the model worked are answered as one batch, and none waits for others."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipestill.errors import UserError
from pipestill.inference.by_hand import replies_of
from pipestill.inference.question import Question
from pipestill.io.records import Json
from pipestill.serving.pool import Model
from pipestill.serving.problems import Problem, unexpected
from pipestill.settings.jobs import Asking

FLUSH_SECONDS = 0.002  # of answers of a batch that are handed out together
Heard = Callable[[Callable[[], str]], bool]
"""Follows one answer, in the worker's thread: see :data:`pipestill.inference.question.Listen`."""


@dataclass(eq=False)
class Ticket:
    """A request in the queue.

    Attributes:
        model: that is asked.
        asking: how.
        key: requests with the same model and key may be one batch.
        question: that is asked.
        tokens: at most, with those that are written.
        reply: becomes what the model answers.
        heard: follows the answer while it is written; none: nobody does.
        told: some of it was passed on.
        gone: nobody waits for the answer any more.
        queued: when it was put into the queue, in seconds of ``time.perf_counter``.
        started: when the model began.
        ended: when it had answered.
        batch: requests that were answered with it.
    """

    model: Model
    asking: Asking
    key: str
    question: Question
    tokens: int
    reply: "asyncio.Future[Json]"
    heard: Heard | None = None
    told: bool = False
    gone: bool = False
    queued: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    ended: float = 0.0
    batch: int = 0

    def hear(self, piece: Callable[[], str]) -> bool:
        """Pass on that there is more of the answer; whether the rest is wanted."""
        if self.gone or self.heard is None:
            return not self.gone
        self.told = True
        return self.heard(piece)


class Batcher:
    """One thread that answers what is in the queue.

    Args:
        batch_tokens: tokens of a batch, see :class:`Ticket`; a batch has one request at least.
        watch: is told of each batch: its experiment, its size, and the seconds that it took.
    """

    def __init__(self, batch_tokens: int, watch: Callable[[str, int, float], None] = lambda *_: None):
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
        try:
            self._reply(batch)
        except Exception as error:
            failed = [ticket for ticket in batch if not ticket.ended]
            alone = len(batch) == 1
            for ticket in failed:
                if alone or ticket.told:
                    self._hand_out([(ticket, _failed(error))])
                else:
                    self._retry(ticket)
        self._watch(batch[0].model.target.name, len(batch), time.perf_counter() - started)

    def _retry(self, ticket: Ticket) -> None:
        """Answer a request whose batch has failed by itself."""
        try:
            self._reply([ticket])
        except Exception as error:
            self._hand_out([(ticket, _failed(error))])

    def _reply(self, batch: list[Ticket]) -> None:
        """Hand out answers as they come, those that come together at once."""
        first, made, handed = batch[0], [], time.perf_counter()

        def listen(place: int, piece: Callable[[], str]) -> bool:
            return batch[place].hear(piece)

        questions = [ticket.question for ticket in batch]
        try:
            for place, reply in replies_of(first.model.target, first.model.loaded, first.asking, questions, listen):
                made.append((batch[place], reply))
                if time.perf_counter() - handed > FLUSH_SECONDS:
                    self._hand_out(made)
                    made, handed = [], time.perf_counter()
        finally:
            self._hand_out(made)

    def _hand_out(self, made: "Sequence[tuple[Ticket, Json | Problem]]") -> None:
        ended = time.perf_counter()
        for ticket, _ in made:
            ticket.ended = ended
        if made and not (loop := made[0][0].reply.get_loop()).is_closed():
            loop.call_soon_threadsafe(_resolve, made)


def _resolve(made: "Sequence[tuple[Ticket, Json | Problem]]") -> None:
    """In the event loop."""
    for ticket, reply in made:
        if ticket.reply.done():
            continue
        if isinstance(reply, Problem):
            ticket.reply.set_exception(reply)
        else:
            ticket.reply.set_result(reply)


def _failed(error: Exception) -> Problem:
    """Why a request was not answered."""
    return Problem(422, str(error)) if isinstance(error, UserError) else unexpected(error)

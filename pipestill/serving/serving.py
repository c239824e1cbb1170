"""A server's parts together: what a request goes through from its inputs to its answer."""

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request

from pipestill.errors import UserError
from pipestill.inference.by_hand import question_of
from pipestill.inference.question import Question
from pipestill.inference.target import Target
from pipestill.io.records import Json
from pipestill.serving.batcher import Batcher, Heard, Ticket
from pipestill.serving.examples import Examples
from pipestill.serving.measures import Measures
from pipestill.serving.pool import Model, Pool
from pipestill.serving.problems import GONE, Problem, busy
from pipestill.serving.settings import STUDY, ServeSettings
from pipestill.serving.shelf import Exhibit, Shelf
from pipestill.settings.jobs import Asking

T = TypeVar("T")
ANSWER_HEADERS = tuple(f"X-Pipestill-{name}" for name in ("Seed", "Prompt-Tokens", "Answer-Tokens", "Cropped"))
LEAVE = "pipestill.leave"  # key of a scope: what the protocol calls when the client has gone
SHORT = 16384  # bytes of a request that is prepared at once
KEPT = 256  # ways to ask runs that are kept


@dataclass(frozen=True)
class Asked:
    """A request that is checked.

    Attributes:
        exhibit: the experiment.
        target: its run.
        asking: how it is asked.
        key: of the options.
        question: that the model reads.
    """

    exhibit: Exhibit
    target: Target
    asking: Asking
    key: str
    question: Question

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and its answer at most."""
        return min(self.asking.max_prompt_tokens, len(self.question.prompt.encode())) + self.asking.max_new_tokens


@dataclass(frozen=True)
class Answered:
    """An answer.

    Attributes:
        asked: what was asked.
        reply: what the model answers, see :func:`~pipestill.inference.by_hand.replies_of`.
        queue_ms: milliseconds in the queue.
        model_ms: milliseconds of the model, for the whole batch.
        batch: requests of the batch.
    """

    asked: Asked
    reply: Json
    queue_ms: float
    model_ms: float
    batch: int

    @property
    def headers(self) -> dict[str, str]:
        """What is told beside the answer."""
        found = {
            "Server-Timing": f"queue;dur={self.queue_ms:.2f}, model;dur={self.model_ms:.2f}",
            "X-Pipestill-Seed": str(self.asked.target.seed),
            "X-Pipestill-Prompt-Tokens": str(self.reply["prompt_tokens"]),
            "X-Pipestill-Answer-Tokens": str(self.reply["written_tokens"]),
        }
        return found | ({"X-Pipestill-Cropped": "true"} if self.reply["cropped"] else {})


@dataclass
class Serving:
    """The parts of a server.

    Attributes:
        settings: what it is told.
        shelf: experiments that may be asked.
        pool: models.
        batcher: answers.
        measures: what it counts.
        examples: of the tasks.
        draining: it ends when what it has accepted is answered.
        admitted: requests that are not answered yet.
        cold: why no model is loaded yet.
    """

    settings: ServeSettings
    shelf: Shelf
    pool: Pool
    batcher: Batcher
    measures: Measures
    examples: Examples = field(default_factory=Examples)
    draining: bool = False
    admitted: int = 0
    cold: str = "the first model is not loaded yet: try again"
    _askings: dict[tuple[str, int | None, str], tuple[Target, Asking]] = field(default_factory=dict)
    _askings_turn: threading.Lock = field(default_factory=threading.Lock)  # long requests are prepared in threads
    _warming: "asyncio.Task[None] | None" = None

    @classmethod
    def of(cls, settings: ServeSettings) -> "Serving":
        """The parts that ``settings`` describe.

        Raises:
            UserError: there is nothing to serve, or no model fits.
        """
        shelf, measures = Shelf(settings.results, settings.experiments, settings.study), Measures()
        if settings.study not in {STUDY, *(name.rpartition("_")[0] for name in shelf.names())}:
            raise UserError(f"--study {settings.study!r} is no study of an experiment that is served: correct it")
        pool = Pool(settings.max_memory, settings.threads)
        pool.check(shelf.all())
        made = cls(settings, shelf, pool, Batcher(settings.batch_tokens, measures.batch), measures)
        measures.gauge("pipestill_requests_waiting", "Requests that are not answered yet.", lambda: made.admitted)
        measures.gauge("pipestill_models_loaded", "Models in memory.", lambda: len(pool))
        measures.gauge("pipestill_models_bytes", "Bytes of their weights.", lambda: pool.size)
        return made

    def start(self) -> None:
        """Begin to answer, and load the first model."""
        self.batcher.start()
        self.warm_up()

    def close(self) -> None:
        """Answer what is accepted, and end."""
        self.batcher.close()
        self.pool.close()

    def warm_up(self) -> None:
        """Load a first model, the first one that can be, unless one has been or is being loaded."""
        if not self.pool.warm and (self._warming is None or self._warming.done()):
            self._warming = asyncio.ensure_future(self._warm())

    async def _warm(self) -> None:
        for exhibit in self.shelf.all():
            try:
                async with self.pool.borrow(exhibit, exhibit.first):
                    return
            except Problem as problem:
                self.cold = problem.detail

    def ask(
        self,
        exhibit: Exhibit,
        seed: int | None,
        inputs: Mapping[str, str],
        fields: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Asked:
        """A request that is checked, before it waits for anything.

        Args:
            exhibit: of the shelf.
            seed: of a run; none: the first.
            inputs: of the task.
            fields: what else its layout asks for.
            options: of the task's answers, in place of the experiment's.

        Raises:
            Problem: there is no such run.
            UserError: it cannot be asked so.
        """
        target = exhibit.run(seed)
        key = json.dumps(options, sort_keys=True) if options else ""
        asking = self._asking(exhibit, target, key, options or {})
        return Asked(exhibit, target, asking, key, question_of(target, asking, inputs, fields or {}))

    def _asking(self, exhibit: Exhibit, target: Target, key: str, options: Mapping[str, object]) -> Asking:
        place = exhibit.name, target.seed, key
        with self._askings_turn:
            known = self._askings.pop(place, None)
        if known is None or known[0] is not target:
            known = target, target.asking(options)
            most = target.settings.asking.max_new_tokens
            if known[1].max_new_tokens > most:
                raise UserError(f"`max_new_tokens` is above the {most} that `{exhibit.name}` writes: ask for fewer")
        with self._askings_turn:
            self._askings[place] = known
            if len(self._askings) > KEPT:
                del self._askings[next(iter(self._askings))]
        return known[1]

    async def answer(self, asked: Asked, heard: Heard | None = None) -> Answered:
        """What the model answers.

        Args:
            asked: what is asked.
            heard: follows the answer while it is written, in another thread.

        Raises:
            Problem: there are too many requests, or it cannot be answered.
        """
        with self.admission():
            async with self.pool.borrow(asked.exhibit, asked.target) as model:
                await _read(model, asked)
                future = asyncio.get_running_loop().create_future()
                ticket = Ticket(model, asked.asking, asked.key, asked.question, asked.tokens, future, heard)
                reply = await self.batcher.submit(ticket)
        queue, took = ticket.started - ticket.queued, ticket.ended - ticket.started
        answered = Answered(asked, reply, 1000 * queue, 1000 * took, ticket.batch)
        self.measures.answered(asked.exhibit.name, queue, reply["prompt_tokens"], reply["written_tokens"])
        return answered

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Inside, a request counts as one that is not answered yet.

        Raises:
            Problem: there are too many requests.
        """
        self.check_room()
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    async def prepared(self, size: int, prepare: Callable[[], T]) -> T:
        """What ``prepare`` makes of a request of ``size`` bytes.

        Raises:
            Problem: there are too many requests.
        """
        self.check_room()
        return await _aside(size, prepare)

    def check_room(self) -> None:
        """Refuse a request where there are too many, or none are taken any more.

        Raises:
            Problem: says which.
        """
        if self.draining:
            raise busy("this server is about to end: ask another one")
        if self.admitted >= self.settings.queue:
            detail = f"{self.settings.queue} requests wait already, which is the limit of this server: try again"
            raise Problem(429, detail, headers={"Retry-After": str(random.randint(1, 3))})

    async def until(self, request: Request, work: Awaitable[T]) -> T:
        """The result of ``work``, which is given up when the client has gone or its time is over.

        Raises:
            Problem: either.
        """
        task, gone = asyncio.current_task(), False

        def leave() -> None:
            nonlocal gone
            gone = True
            task.cancel()

        request.scope[LEAVE] = leave
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                return await work
        except TimeoutError:
            seconds = f"{self.settings.request_seconds:g}"
            detail = f"there was no answer within {seconds} seconds: try again, or ask for less text"
            raise Problem(504, detail) from None
        except asyncio.CancelledError:
            if not gone:
                raise
            task.uncancel()
            raise Problem(GONE, "the client has gone") from None
        finally:
            del request.scope[LEAVE]


async def _aside(size: int, work: Callable[[], T]) -> T:
    """The result of ``work`` on ``size`` bytes or characters: of many in another thread, as it takes a while."""
    return work() if size <= SHORT else await asyncio.to_thread(work)


async def _read(model: Model, asked: Asked) -> None:
    """Have the prompt in tokens when the model comes to it; meanwhile it works on others."""
    question, asking = asked.question, asked.asking
    encoder = model.loaded.encoder(asking.prompt)
    try:
        await _aside(len(question.prompt), lambda: question.read(encoder, asking.max_prompt_tokens))
    except UserError as error:
        raise Problem(422, str(error)) from None

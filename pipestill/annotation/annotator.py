"""Records in, answers out: chains of requests in threads, each answer kept under its request's digest."""

import random
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.budget import Budget
from pipestill.annotation.checks import checked, kept_text
from pipestill.annotation.endpoint import Endpoint
from pipestill.annotation.failures import RATE_LIMIT, REMEDIES, CallFailed, Refused
from pipestill.annotation.gate import Gate, Stopped
from pipestill.annotation.pricing import cost_of, price_of
from pipestill.annotation.request import Request, make_request
from pipestill.io.records import Record
from pipestill.job.row_log import RowLog
from pipestill.settings.annotation import AnnotationConfig, StepConfig

LONGEST_WAIT = 60.0  # seconds between two attempts


@dataclass(eq=False)
class DeadLetter(Exception):
    """A record that gets no answer in this run.

    Attributes:
        step: name of the answer that is missing.
        request: key of the request.
        reason: class of the last failure.
        attempts: how often the request was sent.
        error: the last failure, without secrets.
    """

    step: str
    request: str
    reason: str
    attempts: int
    error: str


class Annotator:
    """Answers to the chains of prompts of many records.

    Args:
        settings: of the job.
        shared: parameters that all its requests have in common.
        answers: the ledger.
        budget: the journal of calls, and their limits.
        connect: opens the endpoint; called when the first answer is not in the ledger, and never otherwise.
    """

    def __init__(
        self,
        settings: AnnotationConfig,
        shared: Mapping[str, Any],
        answers: RowLog,
        budget: Budget,
        connect: Callable[[], Endpoint],
    ):
        self.settings, self.shared, self.answers, self.budget = settings, shared, answers, budget
        self.gate = Gate(settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute)
        self.accepts_cuts = settings.on_truncation == "accept"
        self.connect = connect
        self.asked: dict[str, Future[str]] = {}  # by key: equal requests are sent once
        self.answered = 0  # calls of this run
        self.lock = threading.Lock()

    @cached_property
    def endpoint(self) -> Endpoint:
        """The endpoint, opened when it is needed."""
        return self.connect()

    def annotate(self, record: Record) -> dict[str, str]:
        """The answers for one record by the names of their steps; called by many threads at a time.

        Raises:
            DeadLetter: a step has no answer.
            Stopped: the run ended before.
            UserError: the run cannot continue.
        """
        values = record.texts
        for step in self.settings.steps:
            values[step.out] = self._answer(make_request(step, values, self.shared), step)
        return {step.out: values[step.out] for step in self.settings.steps}

    def stop(self) -> None:
        """Send nothing more."""
        self.gate.stop()

    def _answer(self, request: Request, step: StepConfig) -> str:
        with self.lock:
            first = request.key not in self.asked
            future = self.asked.setdefault(request.key, Future())
        if first:
            try:
                future.set_result(self._kept(request, step) or self._ask(request, step))
            except BaseException as error:
                if not isinstance(error, DeadLetter):
                    self.stop()
                future.set_exception(error)
        return future.result()

    def _kept(self, request: Request, step: StepConfig) -> str | None:
        with self.lock:
            row = self.answers.rows.get(request.key)
        return kept_text(row, step, self.accepts_cuts)

    def _ask(self, request: Request, step: StepConfig) -> str:
        if self.settings.replay:
            raise DeadLetter(step.out, request.key, "replay", 0, "the answer is not in the ledger")
        max_tokens, verdicts, answered = request.max_tokens, [], self.answered
        for attempt in range(1, self.settings.max_attempts + 1):
            try:
                return self._call(request, step, max_tokens, attempt).text
            except CallFailed as failure:
                enlarge = failure.reason == "truncated" and self._may_enlarge(failure, request, max_tokens)
                hopeless = failure.kind == "permanent" or (failure.reason == "truncated" and not enlarge)
                again = failure.verdict is not None and failure.verdict in verdicts
                verdicts.append(failure.verdict)
                if hopeless or again or attempt == self.settings.max_attempts:
                    if failure.is_out_of_reach and answered == self.answered:
                        raise Refused(
                            f"nobody answers at the address ({failure}): check `base_url`, and run again"
                        ) from None
                    raise DeadLetter(step.out, request.key, failure.reason, attempt, str(failure)) from None
                if enlarge:
                    max_tokens *= 2
                else:
                    self._wait(failure, attempt)
        raise AssertionError("unreachable: max_attempts is at least 1")

    def _call(self, request: Request, step: StepConfig, max_tokens: int, attempt: int) -> Answer:
        """Send a request once, in its turn and within the budget, and keep its answer."""
        with self.gate.passage(request.estimated_tokens + max_tokens):
            endpoint = self._connected()
            most = price_of(self.settings.price, request.most_tokens, max_tokens) or 0.0
            call = self.budget.open(request.key, most)
            outcome, answer, charged = "unexpected", None, True
            try:
                answer = checked(endpoint.ask(request, max_tokens), step, self.accepts_cuts, max_tokens, endpoint.key)
                self._keep(request, answer, max_tokens, attempt, most)
                outcome = "ok"
            except CallFailed as failure:
                outcome, answer, charged = failure.reason, failure.answer, failure.charged
                self._heed(failure)
                raise
            finally:
                self.budget.close(call, outcome, **cost_of(answer, charged, most, self.settings.price))
            self.answered += 1
        self.gate.succeeded()
        return answer

    def _connected(self) -> Endpoint:
        with self.lock:
            if self.gate.stopped:
                raise Stopped
            try:
                return self.endpoint
            except BaseException:
                self.stop()  # before the others, which wait for the lock, try the same
                raise

    def _may_enlarge(self, failure: CallFailed, request: Request, max_tokens: int) -> bool:
        """True for the first cut of an answer, if the settings say retry or if only thoughts came before the cut."""
        wanted = self.settings.on_truncation == "retry" or not failure.answer.text
        return wanted and max_tokens == request.max_tokens

    def _heed(self, failure: CallFailed) -> None:
        """Do what a failure asks of all threads, before the next one of them may send anything.

        Raises:
            Refused: the run ends.
        """
        pause = failure.retry_after or 0.0
        if failure.kind == "fatal":
            self.stop()
            raise Refused(f"the provider refuses every request: {failure}; {REMEDIES[failure.reason]}")
        if failure.kind == "permanent":
            return
        if pause > self.settings.max_pause_s:
            self.stop()
            raise Refused(
                f"the provider asks to wait for {pause:.0f} s, longer than `max_pause_s` ({failure}): run again later"
            )
        if failure.status == RATE_LIMIT:
            self.gate.slower()
        if pause:
            print(f"{failure}; pausing for {pause:.1f} s", file=sys.stderr, flush=True)
            self.gate.pause(pause)

    def _wait(self, failure: CallFailed, attempt: int) -> None:
        """Let this thread wait before another attempt, for a random time that doubles."""
        longest = min(LONGEST_WAIT, self.settings.first_wait_s * 2 ** (attempt - 1))
        limited = failure.status == RATE_LIMIT and not failure.retry_after  # by the minute, as most limits are
        self.gate.rest(random.uniform(2 * longest, 2.5 * longest) if limited else random.uniform(0, longest))

    def _keep(self, request: Request, answer: Answer, max_tokens: int, attempts: int, most: float) -> None:
        row = {
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "model": self.settings.model if self.settings.provider == "local" else answer.model,  # not a path
            "provider": answer.provider,
            "generation": answer.generation,
            "usage": answer.usage,
            "cost": cost_of(answer, True, most, self.settings.price)["cost"],
            "latency_s": answer.latency_s,
            "attempts": attempts,
            "max_tokens": max_tokens,
            "parameters": dict(request.parameters),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self.lock:
            self.answers.append([(request.key, row)])

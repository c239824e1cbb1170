"""The gate that every call passes: it limits calls at a time and their pace, and closes when the provider says so."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """The run is ending and sends nothing more."""


class Gate:
    """Shared by all threads of a job. The first call goes alone: what is wrong with all of them is found out once.

    Args:
        concurrency: calls at a time.
        requests_per_minute: pace of calls, if limited.
        tokens_per_minute: pace of tokens, if limited.
    """

    def __init__(self, concurrency: int, requests_per_minute: int | None = None, tokens_per_minute: int | None = None):
        self.most = self.limit = concurrency
        self.seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self.seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self.running = self.successes = 0
        self.opens = 0.0  # time.monotonic() before which nothing is sent
        self.tried = False
        self.stopped = False
        self.changed = threading.Condition()

    @contextmanager
    def passage(self, tokens: int) -> Iterator[None]:
        """Wait for a place, and hold it inside.

        Args:
            tokens: most that the call can take, prompt and answer together.

        Raises:
            Stopped: :meth:`stop` was called.
        """
        with self.changed:
            while not self.stopped and (self._is_full() or time.monotonic() < self.opens):
                self.changed.wait(None if self._is_full() else self.opens - time.monotonic())
            if self.stopped:
                raise Stopped
            self.running += 1
            self.opens = time.monotonic() + max(self.seconds_per_request, tokens * self.seconds_per_token)
        try:
            yield
        finally:
            with self.changed:
                self.running -= 1
                self.tried = True
                self.changed.notify_all()

    def _is_full(self) -> bool:
        return self.running >= (self.limit if self.tried else 1)

    def pause(self, seconds: float) -> None:
        """Let nobody pass for ``seconds``."""
        with self.changed:
            self.opens = max(self.opens, time.monotonic() + seconds)

    def slower(self) -> None:
        """Halve the number of calls at a time: the provider refused one for their rate."""
        with self.changed:
            self.limit, self.successes = max(1, self.limit // 2), 0

    def succeeded(self) -> None:
        """Allow one more call at a time after as many successes as there are places."""
        with self.changed:
            self.successes += 1
            if self.limit < self.most and self.successes >= self.limit:
                self.limit, self.successes = self.limit + 1, 0
                self.changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Let one thread wait outside the gate.

        Raises:
            Stopped: :meth:`stop` was called.
        """
        with self.changed:
            if self.changed.wait_for(lambda: self.stopped, timeout=seconds):
                raise Stopped

    def stop(self) -> None:
        """End the run: threads that wait, and threads that come, get :class:`Stopped`."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

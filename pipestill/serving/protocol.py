"""HTTP/1.1 with deadlines: for the head of a request, for its body, and for a client to take its answer."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipestill.serving.problems import MEDIA_TYPE, Problem
from pipestill.serving.serving import LEAVE
from pipestill.serving.settings import ServeSettings


class Joined:
    """A transport that sends what is written in one step of the event loop at once: a head with its body.

    Args:
        transport: beneath.
        loop: of the events.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop):
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send ``data`` with what else comes in this step."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Send the rest, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self._transport, name)


class DeadlineProtocol(H11Protocol):
    """A connection that is closed when its client keeps it waiting.

    Attributes:
        settings: have the deadlines; a subclass has them.
    """

    settings: ServeSettings

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._awaited: object = None  # the state of the client that the deadline is for
        self._deadline: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for a first request."""
        super().connection_made(Joined(transport, self.loop))
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read some more of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for another request; how long a connection without one is kept is the keep-alive's to say."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._set(None, 0)
        self.resume_writing()
        super().connection_lost(exc)
        self._leave()

    def pause_writing(self) -> None:
        """Wait for the client to take what was written."""
        super().pause_writing()
        self._taking = self.loop.call_later(self.settings.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        if self.flow is not None:
            super().resume_writing()

    def _leave(self) -> None:
        """Tell a request that nobody waits for its answer any more."""
        if self.cycle is not None and not self.cycle.response_complete and (leave := self.cycle.scope.get(LEAVE)):
            leave()

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._set(state, self.settings.body_seconds)
        elif state is h11.IDLE and (self.timeout_keep_alive_task is None or self.conn.trailing_data[0]):
            self._set(state, self.settings.header_seconds)
        else:
            self._set(None, 0)

    def _set(self, state: object, seconds: float) -> None:
        """Have the deadline be for ``state``; one that is for it already stays as it is."""
        if state is self._awaited:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._awaited = state
        self._deadline = None if state is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """The client has kept the server waiting."""
        answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application sees a client that has gone
            self.cycle.message_event.set()
            self._leave()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not answered:
            self._refuse(Problem(408, "the request did not arrive in time: send it again, faster"))
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(Problem(400, "this is not HTTP as it is written: correct the request"))

    def _refuse(self, problem: Problem) -> None:
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
        body = problem.body()
        headers.append((b"content-length", str(len(body)).encode()))
        parts = h11.Response(status_code=problem.status, headers=headers), h11.Data(data=body), h11.EndOfMessage()
        for part in parts:
            self.transport.write(self.conn.send(part))
        self.transport.close()


def protocol_of(settings: ServeSettings) -> type[DeadlineProtocol]:
    """The protocol with the deadlines of ``settings``."""
    return type("Protocol", (DeadlineProtocol,), {"settings": settings})

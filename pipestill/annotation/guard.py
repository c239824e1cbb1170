"""The guard of a model's server: it lets nobody in without the key, and proves to the client that it knows it."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PROOF = "Server-Proof"  # header of every answer

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def proof_of(key: str) -> str:
    """What only those who know ``key`` can say."""
    return hmac.new(key.encode(), b"the server of this run", hashlib.sha256).hexdigest()


class Guard:
    """An ASGI application before another one.

    Args:
        app: what is guarded.
        key: that requests bear.
    """

    def __init__(self, app: App, key: str):
        self.app, self.proof = app, (PROOF.lower().encode(), proof_of(key).encode())
        self.bearer = f"Bearer {key}".encode()

    async def __call__(self, scope: Message, receive: Callable, send: Callable) -> None:
        """Answer a request that does not bear the key with 401, and hand on all others."""

        async def prove(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self.proof]
            await send(message)

        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and hmac.compare_digest(
            dict(scope["headers"]).get(b"authorization", b""), self.bearer
        ):
            await self.app(scope, receive, prove)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

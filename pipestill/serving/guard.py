"""What every request passes first: the Host check, the token, and the line in the log."""

import base64
import hmac
import ipaddress
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipestill.serving.infer import INFER
from pipestill.serving.problems import Problem, unexpected
from pipestill.serving.serving import Serving

OPEN = frozenset({"/", "/health", "/ready"})  # need no token: a page without data, and what watchers ask
DESCRIBED = frozenset({"/docs", "/openapi.json"})  # that browsers open by themselves, and ask for the token
LOGIN = 'Basic realm="any name, and the token as the password"'
OPEN_BELOW = "/playground/"
PAGES = frozenset({"/openapi.json"})
logger = logging.getLogger("pipestill.serving.access")


class Guard:
    """Middleware around the whole application.

    Args:
        app: inside.
        serving: has the settings.
    """

    def __init__(self, app: ASGIApp, serving: Serving):
        self.app, self.serving = app, serving
        settings = serving.settings
        self.hosts = frozenset(name.lower() for name in ("localhost", settings.host, *settings.allow_hosts))
        self.token = settings.token.encode() if settings.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, sent, length = time.perf_counter(), 0, 0, 0
        limit = self.serving.settings.max_body

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        async def measured() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > limit:
                raise too_long(limit)
            return message

        try:
            self.check(scope)
            await self.app(scope, measured, counted)
        except Exception as error:
            problem = error if isinstance(error, Problem) else unexpected(error)
            if not status:  # one that is being sent cannot become another one: uvicorn cuts it off
                await problem.response(scope["path"])(scope, measured, counted)
        took = 1000 * (time.perf_counter() - started)
        path = path_of(scope)
        self.serving.measures.requests.labels(path, str(status)).inc()
        client = scope["client"][0] if scope.get("client") else "-"
        where = f"{path} {scope.get('experiment', '')}".rstrip()
        logger.info(
            "%s %s %s %d, %d bytes in, %d out, %.1f ms", client, method_of(scope), where, status, length, sent, took
        )

    def check(self, scope: Scope) -> None:
        """Refuse a request that is too long, or comes with a foreign Host or without the token.

        Raises:
            Problem: says which.
        """
        headers = dict(reversed(scope["headers"]))
        declared, limit = headers.get(b"content-length", b"0"), self.serving.settings.max_body
        if int(declared) > limit:  # h11 has seen to it that these are digits, and not many
            raise too_long(limit)
        host = headers.get(b"host", b"").decode("latin-1")
        if not host:
            raise Problem(400, "the request has no Host header: send one")
        if not self.knows(host):
            raise Problem(421, "this server does not answer to that Host: see `--allow-host`")
        if self.token is None or scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW):
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        described = scope["path"] in DESCRIBED
        if described and scheme.lower() == b"basic":
            scheme, given = b"bearer", password_of(given)
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.token):
            detail = "this server needs a token: send it as `Authorization: Bearer TOKEN`"
            raise Problem(401, detail, {"WWW-Authenticate": LOGIN if described else "Bearer"})

    def knows(self, host: str) -> bool:
        """Whether ``host`` is a name of this server; any address is, as no foreign name leads to a page of one."""
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        if name.lower().rstrip(".") in self.hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def password_of(given: bytes) -> bytes:
    """The password that a browser sends with a name; empty where there is none."""
    try:
        return base64.b64decode(given).partition(b":")[2]
    except ValueError:
        return b""


METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})


def too_long(limit: int) -> Problem:
    """A request has more than ``limit`` bytes."""
    return Problem(413, f"the request is longer than the {limit} bytes that this server reads: shorten its texts")


def method_of(scope: Scope) -> str:
    """The method of a request, one of those that there are."""
    return scope["method"] if scope["method"] in METHODS else "OTHER"


def path_of(scope: Scope) -> str:
    """The path of a request as the application declares it: what a client wrote there is not repeated."""
    if "experiment" in scope.get("path_params", {}):  # a route of Starlette's own kind does not name itself
        return INFER
    if scope["path"] in PAGES:
        return scope["path"]
    return getattr(scope.get("route"), "path", "other")

"""Errors of the API: problem details (RFC 9457), one sentence each, which never repeat what cannot be printed."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from pipestill.errors import UserError, shortened
from pipestill.io.records import Json

MEDIA_TYPE = "application/problem+json"
GONE = 499  # what the log says of a client that has gone; nobody reads it
LONGEST = 2000  # characters of a sentence
CHATS = "/v1/"  # below it errors have the shape that clients of chats know
logger = logging.getLogger(__name__)


class Problem(Exception):
    """What a client is told instead of an answer.

    Attributes:
        status: of HTTP.
        detail: one sentence with the fault and the way out.
        headers: beside it.
        param: the field that is wrong, for clients of chats.
        code: a word for the fault, for them.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        param: str | None = None,
        code: str | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.headers = status, shortened(detail, LONGEST), dict(headers or {})
        self.param, self.code = param and shortened(param), code

    def json(self) -> Json:
        """It as RFC 9457 has it."""
        title = "Client Closed Request" if self.status == GONE else HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}

    def body(self) -> bytes:
        """It as bytes of JSON."""
        return json.dumps(self.json(), ensure_ascii=False).encode()

    @property
    def error(self) -> Json:
        """It as clients of chats know errors."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        return {"error": {"message": self.detail, "type": kind, "param": self.param, "code": self.code}}

    def response(self, path: str) -> Response:
        """It as an answer to a request for ``path``."""
        if path.startswith(CHATS):
            return JSONResponse(self.error, 400 if self.status == 422 else self.status, self.headers)
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


def busy(detail: str, seconds: int = 1) -> Problem:
    """The server cannot answer now, but will in ``seconds``."""
    return Problem(503, detail, {"Retry-After": str(seconds)})


def add_handlers(app: FastAPI) -> None:
    """Have every error of ``app`` told as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _problem(request: Request, error: Problem) -> Response:
    return error.response(request.url.path)


async def _user_error(request: Request, error: UserError) -> Response:
    return Problem(422, str(error)).response(request.url.path)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Of a parameter; a body is not checked by FastAPI, whose answer would repeat it."""
    first = error.errors()[0]
    return Problem(422, f"`{'.'.join(map(str, first['loc'][1:]))}`: {first['msg']}").response(request.url.path)


SAID = {
    404: "there is nothing at this path: /docs lists what there is",
    405: "this path takes other methods: /docs lists them",
}


async def _http(request: Request, error: HTTPException) -> Response:
    detail = SAID.get(error.status_code, str(error.detail))
    return Problem(error.status_code, detail, error.headers).response(request.url.path)


def unexpected(error: BaseException) -> Problem:
    """A fault of the server's own; where it is goes to the log, its message does not, as it may repeat a request."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    logger.error("%s at %s", type(error).__name__, " > ".join(places[-8:]))
    return Problem(500, "the server failed at this request, and its log says where")

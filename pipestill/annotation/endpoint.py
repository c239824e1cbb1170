"""The client of an address that speaks the OpenAI protocol; it classifies failures."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import CallFailed, by_status
from pipestill.annotation.protocol import read_answer
from pipestill.annotation.redaction import redact
from pipestill.annotation.request import Request
from pipestill.settings.annotation import is_loopback

LONGEST_BODY = 1 << 24  # bytes of a reply


class Endpoint:
    """A client for one address.

    Args:
        base_url: up to ``/v1``.
        key: the provider's key, if it needs one.
        model: the name that the server knows the model by.
        timeout_s: longest time for an answer, in seconds.
        provider_options: OpenRouter's ``provider`` object; other servers refuse it.
        check: called when a connection fails; raises an error of the user if it always will.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None,
        model: str,
        timeout_s: float,
        provider_options: Mapping[str, Any] | None = None,
        check: Callable[[], None] = lambda: None,
    ):
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            del os.environ[name]  # headers and names of accounts that other programs' settings would add
        import openai

        self.openai, self.key, self.model, self.check = openai, key, model, check
        self.extra = {"provider": dict(provider_options)} if provider_options else {}
        self.client = openai.OpenAI(
            base_url=base_url,
            api_key=key or "none",
            timeout=timeout_s,
            max_retries=0,  # repeated calls are counted, paced and paid for like all others
            http_client=openai.DefaultHttpxClient(
                trust_env=not is_loopback(base_url),  # no proxy to this machine
                follow_redirects=False,  # documents go to the address that was named, and to no other
                event_hooks={"response": [bounded(timeout_s)]},
            ),
        )

    def ask(self, request: Request, max_tokens: int) -> Answer:
        """Send ``request``.

        Raises:
            CallFailed: no answer came; neither its message nor its cause holds a secret.
            UserError: no answer will come, since the server has ended.
        """
        body = dict(request.parameters)
        extra = {**body.pop("extra_body"), **self.extra}
        body.pop("routing", None)
        start = time.monotonic()
        try:
            reply = self.client.chat.completions.with_raw_response.create(
                **{**body, "model": self.model}, messages=request.messages, max_tokens=max_tokens, extra_body=extra
            )
        except self.openai.OpenAIError as error:
            failure = self._failure(error)
        else:
            return read_answer(reply.text, reply.headers, time.monotonic() - start, self.key)
        if failure.reason == "connection":
            self.check()
        raise failure from None

    def _failure(self, error: Exception) -> CallFailed:
        message = redact(str(error), self.key)
        if isinstance(error, self.openai.APITimeoutError):
            sent = type(error.__cause__).__name__ != "ConnectTimeout"
            return CallFailed("transient", "timeout", message, charged=sent)
        if isinstance(error, self.openai.APIStatusError):
            return by_status(error.status_code, message, error.response.headers, error.body)
        if isinstance(error, self.openai.APIConnectionError):
            sent = type(error.__cause__).__name__ != "ConnectError"
            return CallFailed("transient", "connection", message, charged=sent)
        return CallFailed("transient", "bad_answer", message, charged=True)


def bounded(timeout_s: float) -> Callable[[Any], None]:
    """A hook that ends replies without end, of bytes or of time: servers keep connections alive with blanks."""
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        def __init__(self, reply: httpx2.Response):
            self.stream, self.request = reply.stream, reply.request

        def __iter__(self) -> Iterator[bytes]:
            size, end = 0, time.monotonic() + timeout_s
            for chunk in self.stream:
                size += len(chunk)
                if size > LONGEST_BODY:
                    raise httpx2.ReadError(f"the reply has more than {LONGEST_BODY} bytes", request=self.request)
                if time.monotonic() > end:
                    raise httpx2.ReadTimeout(f"the reply takes longer than {timeout_s:g} s", request=self.request)
                yield chunk

        def close(self) -> None:
            self.stream.close()

    def bind(reply: httpx2.Response) -> None:
        reply.stream = Bounded(reply)

    return bind

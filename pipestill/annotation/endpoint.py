"""One address that speaks the OpenAI protocol: a request goes out, an answer or a classified failure comes back."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipestill.annotation.failures import CallFailed, by_status
from pipestill.annotation.redaction import redact
from pipestill.annotation.request import Request
from pipestill.config.annotation import is_loopback


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and what it took.

    Attributes:
        text: the message, without white space around it.
        finish_reason: ``stop``, ``length`` (cut at ``max_tokens``), ``content_filter``, ``error``, ...
        model: the model that answered, as the server names it.
        provider: the company that answered, where the server tells.
        generation: the server's id of the call.
        usage: the server's count of tokens and money, as it came.
        latency_s: seconds from request to answer.
        error: what went wrong while the answer was written.
    """

    text: str
    finish_reason: str | None
    model: str | None
    provider: str | None
    generation: str | None
    usage: dict[str, Any]
    latency_s: float
    error: Mapping[str, Any] | None = None

    @property
    def cost(self) -> float | None:
        """Dollars that the server reports."""
        cost = self.usage.get("cost")
        return float(cost) if isinstance(cost, int | float) else None

    @property
    def tokens(self) -> dict[str, int]:
        """``input_tokens`` and ``output_tokens``, as far as the server counts them."""
        names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
        return {ours: self.usage[theirs] for ours, theirs in names.items() if theirs in self.usage}


class Endpoint:
    """A client for one address.

    Args:
        base_url: up to ``/v1``.
        key: the provider's key, if it needs one.
        model: the name that the server knows the model by.
        timeout_s: longest time for an answer, in seconds.
        provider_options: OpenRouter's ``provider`` object; other servers refuse it.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None,
        model: str,
        timeout_s: float,
        provider_options: Mapping[str, Any] | None = None,
    ):
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            del os.environ[name]  # headers and names of accounts that other programs' settings would add
        import openai

        self.openai, self.key, self.model = openai, key, model
        self.extra = {"provider": dict(provider_options)} if provider_options else {}
        self.client = openai.OpenAI(
            base_url=base_url,
            api_key=key or "none",
            timeout=timeout_s,
            max_retries=0,  # repeated calls are counted, paced and paid for like all others
            http_client=openai.DefaultHttpxClient(trust_env=not is_loopback(base_url)),  # no proxy to this machine
        )

    def ask(self, request: Request, max_tokens: int) -> Answer:
        """Send ``request``.

        Raises:
            CallFailed: no answer came; its message holds no secret, and nothing that it was raised from either.
        """
        body = dict(request.parameters)
        extra = {**body.pop("extra_body"), **self.extra}
        body.pop("routing", None)
        start = time.monotonic()
        try:
            reply = self.client.chat.completions.create(
                **{**body, "model": self.model}, messages=request.messages, max_tokens=max_tokens, extra_body=extra
            )
        except (self.openai.OpenAIError, ValueError) as error:
            failure = self._failure(error)
        else:
            failure = self._hidden_error(reply)
        if failure:
            raise failure from None
        return self._answer(reply, time.monotonic() - start)

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

    def _hidden_error(self, reply: Any) -> CallFailed | None:
        """The failure in an answer of status 200: no chat completion at all, or one with an error in place of it."""
        if getattr(reply, "choices", None):
            return None
        error = (getattr(reply, "model_extra", None) or {}).get("error")
        if error is None:
            text = reply if isinstance(reply, str) else "an answer without choices"
            return CallFailed("transient", "bad_answer", redact(text, self.key), charged=True)
        code = error.get("code") if isinstance(error, Mapping) else None
        message = redact(str(error.get("message", error) if isinstance(error, Mapping) else error), self.key)
        if str(code).isdigit():
            return by_status(int(code), message, {}, error, charged=True)
        return CallFailed("transient", "server_error", message, charged=True)

    def _answer(self, reply: Any, latency: float) -> Answer:
        choice, extra = reply.choices[0], reply.model_extra or {}
        error = (choice.model_extra or {}).get("error")
        return Answer(
            text=((choice.message and choice.message.content) or "").strip(),
            finish_reason="error" if error else choice.finish_reason,
            model=reply.model,
            provider=extra.get("provider"),
            generation=reply.id,
            usage=reply.usage.model_dump(exclude_none=True) if reply.usage else {},
            latency_s=round(latency, 3),
            error=error,
        )

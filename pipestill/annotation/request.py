"""Requests, and the digests under which their answers are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipestill.io.digests import json_digest
from pipestill.settings.annotation import AnnotationConfig, StepConfig
from pipestill.settings.models import SERVING
from pipestill.text.gaps import fill

CHARS_PER_TOKEN = 4  # of English text, for estimates
TURN_TOKENS = 64  # that a chat template adds to a message, at most


@dataclass(frozen=True)
class Request:
    """One question to a model.

    Attributes:
        messages: chat messages, each with ``role`` and ``content``.
        max_tokens: where the answer is cut.
        parameters: everything else that an answer depends on: the model, sampling, routing. Keys, addresses, limits
            and prices are not among them, so that an answer is found again when they change.
    """

    messages: list[dict[str, str]]
    max_tokens: int
    parameters: Mapping[str, Any] = field(repr=False)

    @cached_property
    def key(self) -> str:
        """Digest of all that the answer depends on."""
        return json_digest({"messages": self.messages, "max_tokens": self.max_tokens, **self.parameters})

    @property
    def estimated_tokens(self) -> int:
        """Estimated tokens of the messages."""
        return sum(-(-len(message["content"]) // CHARS_PER_TOKEN) for message in self.messages)

    @property
    def most_tokens(self) -> int:
        """Most tokens that the messages can have: each token of text is a byte or longer."""
        return sum(len(message["content"].encode()) + TURN_TOKENS for message in self.messages)


def parameters(settings: AnnotationConfig, model: str) -> dict[str, Any]:
    """The parameters that all requests of a job share; ``model`` names the weights wherever they lie."""
    shared = {"model": model, "extra_body": settings.extra_body}
    if settings.provider == "openrouter":
        shared["routing"] = settings.routing.model_dump(exclude_none=True)
    if settings.engine in SERVING:
        shared["engine"] = settings.engine
    optional = {"temperature": settings.temperature, "top_p": settings.top_p, "seed": settings.seed}
    return shared | {name: value for name, value in optional.items() if value is not None}


def make_request(step: StepConfig, values: Mapping[str, object], shared: Mapping[str, Any]) -> Request:
    """The request of ``step`` for a record: ``values`` are its fields and the answers of the steps before."""
    turns = (("system", step.system), ("user", step.prompt))
    messages = [{"role": role, "content": fill(text, values)} for role, text in turns if text is not None]
    return Request(messages, step.max_tokens, shared)

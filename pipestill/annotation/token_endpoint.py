"""A model of the run's own behind an engine with a server, asked by tokens: what stands in a document is text."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import by_status
from pipestill.annotation.local_server import LocalModel
from pipestill.annotation.request import Request
from pipestill.annotation.thoughts import without_thoughts
from pipestill.inference.engines import Models, Place
from pipestill.job.engines import engine_of
from pipestill.models.hardware import plan_here
from pipestill.models.prompts import encode_prompt
from pipestill.settings.models import HardwareConfig


@dataclass(frozen=True)
class TokenEndpoint:
    """Asks a model as an :class:`~pipestill.annotation.endpoint.Endpoint` does.

    Attributes:
        loaded: the model (:class:`pipestill.inference.loaded.Loaded`).
        versions: of its engine, which stand for the name of a provider.
        key: none is needed.
    """

    loaded: Any
    versions: dict[str, str]
    key: None = None

    def ask(self, request: Request, max_tokens: int) -> Answer:
        """Send ``request``.

        Raises:
            CallFailed: no answer came.
            UserError: no answer will come, since the server has ended.
        """
        import openai

        start = time.monotonic()
        (message,) = request.messages  # what a model of the run's own is trained to answer
        prompt = encode_prompt(self.loaded.tokenizer, message["content"])
        given = {
            name: request.parameters[name] for name in ("temperature", "top_p", "seed") if name in request.parameters
        }
        try:
            text, found = self.loaded.writer.complete(prompt, given | {"max_tokens": max_tokens})
        except openai.APIStatusError as error:
            raise by_status(error.status_code, str(error.message), error.response.headers, error.body) from None
        return Answer(
            text=without_thoughts(text),
            finish_reason=found.finish_reason,
            model=request.parameters["model"],
            provider=" ".join(part for pair in self.versions.items() for part in pair),
            generation=None,
            usage={"prompt_tokens": len(prompt), "completion_tokens": len(found.tokens)},
            latency_s=round(time.monotonic() - start, 3),
        )


@contextmanager
def served(engine: str, local: LocalModel, state: Path) -> Iterator[TokenEndpoint]:
    """Serve a model until the context ends.

    Args:
        engine: that serves it.
        local: the model.
        state: directory for what lives as long as the server.

    Raises:
        UserError: the server does not start.
    """
    module = engine_of(engine)
    plan = module.planned(plan_here(HardwareConfig(device=local.device), "full", local.threads))
    try:
        with module.opened(Models(local.base, local.directory), plan, Place(state, log=local.log)) as loaded:
            yield TokenEndpoint(loaded, module.versions())
    finally:
        shutil.rmtree(state, ignore_errors=True)

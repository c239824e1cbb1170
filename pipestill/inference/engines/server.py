"""A server of vLLM on this machine, which nobody but this user reaches."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipestill.errors import UserError, shortened
from pipestill.inference.engines import Place
from pipestill.job import keeper, programs
from pipestill.job.child import Child

NAME = "asked"  # of the model
START_S = 3600.0  # seconds that a server may take until it answers: it reads weights, compiles and looks for room
ANSWER_S = 3600.0
ENDING_S = 30.0  # that its processes may take to end after a connection was lost
POLL_S = 0.1
FORMATS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Completion:
    """What a model wrote behind a prompt.

    Attributes:
        tokens: it, the end included.
        finish_reason: ``stop``, of the model's own, or ``length``.
        read: tokens of the prompt that were read for it; others were in the server's cache.
    """

    tokens: list[int]
    finish_reason: str
    read: int


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        child: its process.
        client: of the package ``openai``.
    """

    child: Child
    client: Any

    def complete(self, prompt: Sequence[int], ends: list[int], parameters: Mapping[str, Any]) -> Completion:
        """What the model writes behind a prompt of tokens.

        Args:
            prompt: the tokens.
            ends: tokens that end an answer.
            parameters: of the request, as the protocol has them.

        Raises:
            openai.APIStatusError: the server refuses the prompt.
            UserError: it has ended, or its reply has not what ours needs.
        """
        import openai

        extra = {"return_token_ids": True, "stop_token_ids": ends, **parameters.get("extra_body", {})}
        try:
            reply = self.client.completions.with_raw_response.create(
                **{**parameters, "model": NAME, "prompt": list(prompt), "extra_body": extra}
            )
        except openai.APIStatusError:
            raise
        except openai.OpenAIError as error:
            self.child.check(ENDING_S)
            raise UserError(f"vLLM does not answer: {shortened(str(error))}; {self.child.last_line()}") from None
        return _read(reply.text, len(prompt))


def _read(text: str, prompt: int) -> Completion:
    try:
        reply = json.loads(text)
        (choice,), used = reply["choices"], reply["usage"]
        tokens, read = [*map(index, choice["token_ids"])], index(used["prompt_tokens"])
        cached = index((used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
        found = Completion(tokens, str(choice["finish_reason"]), max(0, read - cached))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"vLLM answers without tokens or their counts ({shortened(text, 200)}): install a newer one"
        ) from None
    if read != prompt:
        raise UserError(f"vLLM read {read} tokens of a prompt of {prompt}: it serves another model")
    return found


@contextmanager
def serve(directory: Path, precision: str, place: Place) -> Iterator[Server]:
    """Serve the model of a directory; the process ends with the context, and with this process.

    The server listens at a socket in a directory of this user alone, so no port is open, and no key is needed.

    Args:
        directory: full weights with their tokenizer.
        precision: of the computation, as in a hardware plan.
        place: where it runs.

    Raises:
        UserError: it is not installed, ends, does not answer within :data:`START_S` seconds, or serves another model.
    """
    directory, log = directory.resolve(), place.log or place.state / "vllm.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    length = [] if place.tokens is None else ["--max-model-len", str(place.tokens)]
    with TemporaryDirectory(prefix="pipestill-") as own, open(log, "wb") as file:
        socket = str(Path(own) / "socket")
        command = [
            *(programs.need("vllm"), "serve", str(directory), "--served-model-name", NAME, "--uds", socket),
            *("--dtype", FORMATS[precision], "--tensor-parallel-size", str(place.devices)),
            *("--generation-config", "vllm"),  # nothing but a request says how tokens are chosen
            *("--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
            *length,
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", keeper.__name__, *command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=os.environ | OFFLINE,
        )
        child = Child(process, log)
        try:
            with _client(socket) as client:
                _wait_until_ready(child, client)
                _check(client, directory)
                yield Server(child, client)
        finally:
            child.stop()


def _client(socket: str) -> Any:
    import httpx2
    import openai

    return openai.OpenAI(
        base_url="http://localhost/v1",
        api_key="none",
        timeout=ANSWER_S,
        max_retries=0,  # what fails on one machine fails again
        http_client=httpx2.Client(
            transport=httpx2.HTTPTransport(uds=socket, limits=httpx2.Limits(max_connections=None)), timeout=ANSWER_S
        ),
    )


def _wait_until_ready(child: Child, client: Any) -> None:
    import openai

    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if child.process.poll() is not None:
            child.check()
        try:
            client.get("/health", cast_to=str, options={"timeout": 10.0})
            return
        except openai.OpenAIError:
            time.sleep(POLL_S)
    raise UserError(f"vLLM did not answer within {START_S:g} s; {child.last_line()}")


def _check(client: Any, directory: Path) -> None:
    """Refuse a server of another model."""
    found = [(model.id, getattr(model, "root", None)) for model in client.models.list().data]
    if found != [(NAME, str(directory))]:
        raise UserError(f"vLLM serves {shortened(str(found))}, and not {directory}: look at what `vllm` is on PATH")

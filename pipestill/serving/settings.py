"""What a server is told."""

from dataclasses import dataclass, field
from pathlib import Path

TOKEN = "PIPESTILL_SERVE_TOKEN"  # environment variable with the bearer token that clients must send
STUDY = "creditmix"  # whose methods have names of their own, as in `/infer/sft`


@dataclass(frozen=True)
class ServeSettings:
    """What a server is told.

    Attributes:
        results: directory of the results tree.
        experiments: names of those that are served; all of the tree when empty.
        study: whose methods are served as `/infer/{method}` too.
        host: address to listen at.
        port: to listen at; 0 lets the system choose.
        max_memory: bytes of weights that are held at a time; none: no limit.
        threads: torch threads.
        queue: requests that wait for a model at most.
        batch_tokens: tokens of a batch, those that may be written among them; a batch has one request at least.
        max_body: bytes of a request.
        header_seconds: in which the head of a request must be there.
        body_seconds: in which its body must be there; and in which a client must take more of an answer.
        request_seconds: in which it must be answered.
        allow_hosts: names in the Host header beside addresses and `localhost`.
        allow_origins: whose pages may read answers.
        allow_schemas: clients may send JSON Schemas.
        allow_code: code in requests is run in the sandbox, to judge it.
        token: that clients must send.
    """

    results: Path = Path("results")
    experiments: tuple[str, ...] = ()
    study: str = STUDY
    host: str = "127.0.0.1"
    port: int = 8000
    max_memory: int | None = None
    threads: int = 1
    queue: int = 256
    batch_tokens: int = 16384
    max_body: int = 2**20
    header_seconds: float = 10
    body_seconds: float = 30
    request_seconds: float = 60
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    allow_schemas: bool = False
    allow_code: bool = False
    token: str | None = field(default=None, repr=False)

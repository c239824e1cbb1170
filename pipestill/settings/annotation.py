"""Sections about annotation: rationales that a language model writes, asked over an API of the OpenAI kind."""

import ipaddress
import os
import re
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pipestill.settings.models import SERVING, Engine
from pipestill.settings.places import LocalPath, split_address
from pipestill.settings.section import CleanText, Count, Distinct, Section, Seed, Share, Tokens, Word
from pipestill.settings.training import TrainingOverride
from pipestill.text.credentials import has_key, has_login
from pipestill.text.patterns import check_pattern

RATIONALE = "rationale"  # what training files are made of
ANSWER = "answer"  # the same where there is no gold output
OPENROUTER = "https://openrouter.ai/api/v1"
OPENROUTER_KEY = "OPENROUTER_API_KEY"
ENDS_WITH_A_FIELD = re.compile(r"\{\w+\}\s*$")

REMOVED = ("results", "logs", ".snakemake")  # directories that are made again, or moved

Money = Annotated[float, Field(ge=0, le=10**6)]
Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Question = Annotated[CleanText, Field(min_length=1, max_length=100_000)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class StepConfig(Section):
    """One question of a chain, with the conditions of its answer. It is asked again if an answer breaks them."""

    reruns: ClassVar = {"*": "annotate", "prompt": "annotator_data annotate"}

    prompt: Question
    """The user's message. `{name}` stands for a field of the record, such as an input of the task, or for the answer of
    an earlier step; `{{` and `}}` are braces. That of a `local` model ends with a field, so that a message that is too
    long loses only text, also in training."""
    out: Identifier
    """Name of the answer, other than the records' own fields; that of one step is `rationale`. `answer` is what
    `stepwise` learns at prompts without gold outputs."""
    system: Question | None = None
    """The system's message, if any."""
    max_tokens: Tokens = 512
    """Tokens at which an answer is cut, and for which money is reserved in the budget."""
    min_chars: Count = 1
    """Shortest answer."""
    max_chars: Count | None = None
    """Longest answer."""
    pattern: Annotated[CleanText, Field(min_length=1, max_length=1000)] | None = None
    """Regular expression that must be found in the answer."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema of the answer, which is JSON then."""

    @field_validator("pattern")
    @classmethod
    def _can_be_searched(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _some_length_fits(self):
        if self.max_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(f"no answer has `min_chars` {self.min_chars} and `max_chars` {self.max_chars}; swap them")
        return self


class PriceConfig(Section):
    """Price of a model, in dollars per million tokens."""

    input: Money
    """Price of prompt tokens."""
    output: Money
    """Price of answer tokens."""


class RoutingConfig(Section):
    """Companies that OpenRouter may pass a request on to; other providers never get these fields."""

    data_collection: Literal["deny", "allow"] = "deny"
    """`deny`: no company that keeps requests."""
    zdr: bool = True
    """Only endpoints that retain no data."""
    enforce_distillable_text: bool = True
    """Only models whose authors allow that other models are trained on what they write."""
    only: Annotated[list[Word], Field(min_length=1), Distinct] | None = None
    """Only these companies; a single one, with `quantizations`, for reproducible results."""
    quantizations: Annotated[list[Word], Field(min_length=1), Distinct] | None = None
    """Only weights in these formats, such as `bf16`."""
    allow_fallbacks: bool = True
    """Another company may answer when the first one cannot."""


class AnnotationConfig(Section):
    """Rationales for a task's records."""

    reruns: ClassVar = {
        "*": "annotate",
        "model": "train_annotator annotate",
        "training": "train_annotator",
        **dict.fromkeys(("base_url", "key_variable", "replay", "ledger", "max_cost", "max_requests"), ""),
        **dict.fromkeys(("concurrency", "requests_per_minute", "tokens_per_minute", "timeout_s"), ""),
        **dict.fromkeys(("max_attempts", "first_wait_s", "max_pause_s"), ""),
    }

    provider: Literal["openrouter", "endpoint", "local"]
    """`openrouter`; `endpoint`: any address that speaks the OpenAI protocol; `local`: a model of the run's own, trained
    on the teacher split and served on this machine."""
    model: Word
    """The model's name at the provider; for `local` a key of `models`."""
    engine: Engine = "transformers"
    """What serves a `local` model: `transformers`, or `vllm` for large ones on a GPU."""
    base_url: Word | None = None
    """Address of an `endpoint`, up to `/v1`; https://, or http:// on this machine."""
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=200)] | None = None
    """Environment variable that holds the key of an `endpoint`; none: it needs no key. OpenRouter's is
    OPENROUTER_API_KEY."""
    steps: Annotated[list[StepConfig], Field(min_length=1, max_length=100)]
    """The questions, in order."""
    splits: Annotated[list[Literal["train", "validation"]], Field(min_length=1), Distinct] = ["train", "validation"]
    """Splits to annotate; test records are never sent anywhere."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    """Temperature of sampling; 0: the likeliest token; null: not sent, for models without it."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Sample from the likeliest tokens that together have this probability; the provider's default when absent."""
    seed: Seed | None = None
    """Seed of sampling; another seed asks for other answers."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request, such as `reasoning: {enabled: false}`; not those that have a key here, ask for
    several answers, or add to the prompt."""
    routing: RoutingConfig = RoutingConfig()
    """Routing of requests by OpenRouter."""
    on_truncation: Literal["retry", "accept", "reject"] = "retry"
    """Treatment of an answer that was cut at `max_tokens`: ask once more with twice as many, take it as it is, or give
    it up."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    """Requests at a time; halved while the provider refuses."""
    requests_per_minute: Count | None = None
    """Requests are sent at this pace at most."""
    tokens_per_minute: Count | None = None
    """The same for tokens, of prompts (estimated) and answers (`max_tokens`) together."""
    timeout_s: Seconds = 120.0
    """Longest time to wait for an answer, in seconds."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 6
    """Attempts to send one request."""
    first_wait_s: Seconds = 1.0
    """Longest wait before the second attempt, in seconds; doubled for each further one, up to a minute."""
    max_pause_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 600.0
    """Longest pause that the provider may ask for, in seconds; a longer one ends the run, to be resumed later."""
    price: PriceConfig | None = None
    """Prices for the budget and the estimate, and the least that tokens count for."""
    max_cost: Money | None = None
    """Dollars that may be spent on a task in all, over all runs that share its ledger."""
    max_requests: Count | None = None
    """Requests that may be sent for a task in all, repeated ones included."""
    allow_missing: Share = 0.0
    """Share of the records that may remain without a rationale."""
    replay: bool = False
    """Take every answer from the ledger; send nothing, need no key."""
    ledger: LocalPath = "annotations"
    """Directory of the ledgers, one for each task; outside the results, so that nothing is paid twice."""
    training: TrainingOverride = TrainingOverride()
    """Overrides of the common `training` for a `local` model."""

    @field_validator("ledger")
    @classmethod
    def _is_kept(cls, ledger: str) -> str:
        if PurePath(os.path.relpath(ledger)).parts[:1] in [(name,) for name in REMOVED]:
            raise ValueError("what is paid for would lie among files that are removed; name a directory beside them")
        return ledger

    @model_validator(mode="after")
    def _is_consistent(self):
        if (self.provider == "endpoint") != (self.base_url is not None):
            raise ValueError("`base_url` is the address of `provider: endpoint`; give both or neither")
        if self.key_variable is not None and self.provider != "endpoint":
            raise ValueError("`key_variable` is for `provider: endpoint`; remove it")
        if self.engine in SERVING and self.provider != "local":
            raise ValueError(f"`engine: {self.engine}` serves a model of `provider: local`; remove it")
        if self.engine in SERVING and self.extra_body:
            raise ValueError(f"`extra_body` is for other servers than that of `engine: {self.engine}`; remove it")
        if self.base_url is not None:
            _check_address(self.base_url)
        if self.provider == "local" and self.price is None:
            self.price = PriceConfig(input=0, output=0)
        if self.max_cost is not None and self.price is None:
            raise ValueError("`max_cost` needs `price`: without it nobody knows what the next request may cost")
        local = self.steps if self.provider == "local" else []
        if any(step.out not in (RATIONALE, ANSWER) or step.system is not None for step in local):
            raise ValueError(
                f"a `local` model is trained to write a `{RATIONALE}` and, if asked for, an `{ANSWER}`: give one step "
                "for each, without `system`"
            )
        if not all(ENDS_WITH_A_FIELD.search(step.prompt) for step in local):
            raise ValueError(
                "a `local` model is trained on prompts that lose their end where they are too long: let `prompt` end "
                "with a field such as `{document}`, and put the question before it"
            )
        names = [step.out for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two `steps` have the same `out`")
        if RATIONALE not in names:
            raise ValueError(f"one of the `steps` must have `out: {RATIONALE}`")
        if has_key(self.model_dump_json()):
            raise ValueError("a value looks like a secret key; remove it here, and put it into the environment")
        return self

    def key_name(self) -> str | None:
        """Environment variable that holds the provider's key, if it has one and anything is to be sent."""
        if self.replay:
            return None
        return OPENROUTER_KEY if self.provider == "openrouter" else self.key_variable


def is_loopback(url: str) -> bool:
    """True if ``url`` is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(url: str) -> None:
    try:
        parts = split_address(url)
    except ValueError as error:
        raise ValueError(f"`base_url`: {error}") from None
    if has_login(url):
        raise ValueError(
            "`base_url` holds a user name or password, or a key in its query; put the key into the environment, and "
            "name the variable in `key_variable`"
        )
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url))):
        raise ValueError("`base_url` must begin with https://, or with http:// on this machine (127.0.0.1)")

"""The body of a chat request, as far as this server takes it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipestill.io.records import Json
from pipestill.serving.problems import Problem

MOST_CHOICES, MOST_STOPS = 16, 4
IGNORED = frozenset({"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user", "verbosity"})
NEUTRAL: Mapping[str, tuple[Any, ...]] = {  # values of what is not supported that ask for nothing
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "tool_choice": ("auto", "none"),
    "tools": ([],),
    "top_logprobs": (0,),
}


def _parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Message(_Part):
    """The question."""

    role: str
    """`user`."""
    content: Annotated[list[dict[str, Any]], BeforeValidator(_parts, json_schema_input_type=str | list[dict[str, Any]])]
    """Its text, or parts of the type `text`."""
    name: str | None = None
    """Not read."""


class StreamOptions(_Part):
    """What a stream says."""

    include_usage: bool = False
    """A last event has the numbers of tokens."""
    include_obfuscation: bool = False
    """Not done."""


class JsonSchema(_Part):
    """A schema of answers."""

    name: str | None = None
    """Not read."""
    description: str | None = None
    """Not read."""
    strict: bool | None = None
    """Answers follow the schema in any case."""
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    """JSON Schema (Draft 2020-12)."""


class ResponseFormat(_Part):
    """The form of answers."""

    type: Literal["text", "json_object", "json_schema"]
    """`json_object` and `json_schema` are for models whose answers are JSON."""
    json_schema: JsonSchema | None = None
    """For `json_schema`, where the server allows schemas of clients."""


class ChatBody(_Part):
    """A question to a model that writes text."""

    model: str
    """An experiment, see `/v1/models`."""
    messages: Annotated[list[Message], Field(min_length=1)]
    """One message of the user, whose text is the first input of the model's task."""
    stream: bool = False
    """Send the answer while it is written, as server-sent events."""
    stream_options: StreamOptions | None = None
    """What a stream says."""
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] = 1
    """Answers to the question, with the sampling seeds that follow each other."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """The same as `max_completion_tokens`."""
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens at which an answer is cut, where the model's own limit is not lower."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0: the likeliest tokens; above, tokens are drawn. As in the experiment when absent."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the likeliest tokens that together have this probability. As in the experiment when absent."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The same seed gives the same answer; another one each time when absent."""
    stop: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(max_length=MOST_STOPS),
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = []
    """Texts before which the answer ends."""
    response_format: ResponseFormat | None = None
    """The form of answers."""
    pipestill: dict[str, Any] = {}
    """Further inputs, fields and options of the model's task, as `/infer` takes them."""

    @property
    def limit(self) -> int | None:
        """Tokens of an answer."""
        given = [each for each in (self.max_tokens, self.max_completion_tokens) if each is not None]
        return min(given, default=None)


def read_chat(body: Json) -> ChatBody:
    """The request that ``body`` is; what it gives as null is not given.

    Raises:
        Problem: it is none, or asks for what this server does not do.
    """
    given = {name: value for name, value in body.items() if value is not None and name not in IGNORED}
    asked = {name: value for name, value in given.items() if not _is_neutral(name, value)}
    try:
        return ChatBody.model_validate(asked)
    except ValidationError as error:
        raise _refused(error) from None


def _is_neutral(name: str, value: Any) -> bool:
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in NEUTRAL.get(name, ()))


def _refused(error: ValidationError) -> Problem:
    """What is wrong first; nothing of the body but names of fields is repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = ", ".join(ChatBody.model_fields)
        detail = f"`{param}` is not supported here: leave it out; this server takes {known}"
        return Problem(400, detail, param=param, code="unsupported_parameter")
    if first["type"] == "missing":
        return Problem(400, f"`{param}` is missing: add it", param=param, code="missing_required_parameter")
    where = f"`{param}`" if param else "the name of a field"
    return Problem(400, f"{where}: {first['msg']}", param=param or None, code="invalid_value")

"""The end of an answer that has no room for its own: a whole one, which keeps as much of it as there is room for."""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipestill.inference.constrained.engine import Engine
from pipestill.schemas.schema import NotJson, parse

if TYPE_CHECKING:
    from llguidance import LLMatcher

CLOSING = b'}]",'  # characters that end something, outside of a string
TRIES = 4  # ways to end, of which the first that fits is taken
LOOKED_AT = 24  # characters that are tried where none ends anything


def is_whole(engine: Engine, tokens: Sequence[int]) -> bool:
    """Whether an answer that the grammar has accepted is JSON; with keys of its own, one may come twice."""
    if not engine.schema.grammar.maps:
        return True
    try:
        parse(engine.text(tokens))
    except NotJson:
        return False
    return True


def closed(engine: Engine, tokens: list[int], limit: int) -> list[int]:
    """The longest beginning of ``tokens`` that was found to have a whole end within ``limit`` tokens, and that end.

    ``tokens`` themselves if there is none: then the answer is not valid.
    """
    best, tried = None, len(tokens) + 1
    for step in (0, *(2**power for power in range(30))):
        kept = max(0, len(tokens) - step)
        if best := _ended(engine, tokens[:kept], limit):
            break
        tried = kept
        if kept == 0:
            return tokens
    while best and tried - kept > 1:
        middle = (tried + kept) // 2
        if longer := _ended(engine, tokens[:middle], limit):
            best, kept = longer, middle
        else:
            tried = middle
    return best or tokens


def _ended(engine: Engine, tokens: list[int], limit: int) -> list[int] | None:
    """``tokens`` with a short end; none if none was found within ``limit`` tokens."""
    for attempt in range(TRIES):
        matcher = engine.matcher()
        if matcher.try_consume_tokens(tokens) < len(tokens):
            return None
        end = _end(engine, matcher, engine.bytes_of(tokens), limit - len(tokens), random.Random(attempt))
        engine.free(matcher)
        if end is not None and is_whole(engine, [*tokens, *end]):
            return [*tokens, *end]
    return None


def _end(engine: Engine, matcher: "LLMatcher", text: bytes, room: int, draw: random.Random) -> list[int] | None:
    """A short way to a whole answer, at most ``room`` tokens; none if none was found."""
    end: list[int] = []
    while not matcher.is_accepting():
        new = engine.forced(matcher)
        if not new:
            token = _next(engine, matcher, text + engine.bytes_of(end), draw)
            new = [] if token is None else [token]
        if not new or len(end) + len(new) > room or not matcher.consume_tokens(new):
            return None
        end += new
    return end


def _next(engine: Engine, matcher: "LLMatcher", text: bytes, draw: random.Random) -> int | None:
    """A token that ends something, or after which something can end, or any."""
    allowed = engine.allowed([matcher])[0]
    ending = b'"' if in_string(text) else CLOSING
    for token in _single(engine, ending):
        if allowed[token]:
            return token
    others = [token for token in _single(engine, bytes(range(32, 127))) if allowed[token]]
    others = others or np.flatnonzero(allowed)[:LOOKED_AT].tolist()
    draw.shuffle(others)
    for token in others[:LOOKED_AT]:
        if matcher.consume_token(token):
            after = engine.allowed([matcher])[0]
            ends = matcher.is_accepting() or any(after[each] for each in _single(engine, ending))
            matcher.rollback(1)
            if ends:
                return token
    return others[0] if others else None


def _single(engine: Engine, characters: bytes) -> Iterator[int]:
    for character in characters:
        token = engine.token_of(bytes([character]))
        if token is not None:
            yield token


def in_string(text: bytes) -> bool:
    """Whether a beginning of JSON ends within a string."""
    inside = escaped = False
    for byte in text:
        if escaped:
            escaped = False
        elif byte == ord("\\"):
            escaped = inside
        elif byte == ord('"'):
            inside = not inside
    return inside

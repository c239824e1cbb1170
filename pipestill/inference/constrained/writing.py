"""One answer that is being written by a schema."""

from collections.abc import Sequence

from pipestill.inference.constrained.closing import closed, is_whole
from pipestill.inference.constrained.engine import Engine
from pipestill.inference.constrained.keys import repeats_key


class Writing:
    """An answer so far.

    Where the schema leaves no choice, the text is written in the tokens that the tokenizer itself makes of it. So an
    answer does not depend on whether forced tokens are read together or one by one.

    Attributes:
        tokens: so far, the end included.
        matcher: where in the grammar they have come to.
        done: nothing is added any more.
        whole: it was when it ended; one that was not has been made so.
    """

    def __init__(self, engine: Engine, limit: int):
        self.engine, self.limit = engine, limit
        self.matcher, self.tokens, self.done, self.whole = engine.matcher(), [], False, False

    def add(self, tokens: Sequence[int]) -> list[int]:
        """Add tokens and those that they force; returns all that were added, at most up to the limit of tokens."""
        before, queue = len(self.tokens), list(tokens)
        while queue and not self.done:
            for token in queue[: self.limit - len(self.tokens)]:
                self.tokens.append(token)
                if token in self.engine.ends or not self.matcher.consume_token(token):
                    self._finish()
                    break
            if len(self.tokens) == self.limit or self.matcher.is_stopped():
                self._finish()
            queue = [] if self.done else self.engine.forced(self.matcher)
        return self.tokens[before:]

    def begin(self) -> list[int]:
        """Add what every answer begins with."""
        return self.add(self.engine.forced(self.matcher))

    def repeats(self, token: int) -> bool:
        """Whether a key would come twice with ``token``; only keys that the schema does not name can."""
        engine = self.engine
        if not engine.schema.grammar.maps or b'"' not in engine.wrapped.decode_bytes([token]):
            return False
        return repeats_key(engine.text([*self.tokens, token]))

    def give_up(self) -> None:
        """End where no token may come next."""
        self._finish()

    def _finish(self) -> None:
        """End the answer; one that is not whole, as a whole one that keeps as much of it as there is room for."""
        if self.done:
            return
        self.done = True
        engine = self.engine
        if engine.ends and self.tokens and self.tokens[-1] in engine.ends:
            self.tokens.pop()
        self.whole = self.matcher.is_accepting() and is_whole(engine, self.tokens)
        if not self.whole:
            self.tokens = closed(engine, self.tokens, self.limit)
        if engine.ends and len(self.tokens) < self.limit:
            self.tokens.append(engine.ends[0])
        engine.free(self.matcher)

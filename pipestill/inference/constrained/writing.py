"""One answer that is being written by a constraint."""

from collections.abc import Sequence

from pipestill.inference.constrained.closing import closed, is_whole
from pipestill.inference.constrained.constraint import Constraint


class Writing:
    """An answer so far.

    Where the schema leaves no choice, the text is written in the tokens that the tokenizer itself makes of it. So an
    answer does not depend on whether forced tokens are read together or one by one.

    Attributes:
        tokens: so far, the end included.
        matcher: where in the grammar they have come to.
        done: nothing is added any more.
    """

    def __init__(self, constraint: Constraint, limit: int):
        self.constraint, self.limit = constraint, limit
        self.matcher, self.tokens, self.done = constraint.matcher(), [], False

    def add(self, tokens: Sequence[int]) -> list[int]:
        """Add tokens and those that they force; returns all that were added, at most up to the limit of tokens."""
        before, queue = len(self.tokens), list(tokens)
        while queue and not self.done:
            for token in queue[: self.limit - len(self.tokens)]:
                self.tokens.append(token)
                if token in self.constraint.ends or not self.matcher.consume_token(token):
                    self._finish()
                    break
            if len(self.tokens) == self.limit or self.matcher.is_stopped():
                self._finish()
            queue = [] if self.done else self.matcher.compute_ff_tokens()
        return self.tokens[before:]

    def begin(self) -> list[int]:
        """Add what every answer begins with."""
        return self.add(self.matcher.compute_ff_tokens())

    def give_up(self) -> None:
        """End where no token may come next."""
        self._finish()

    def _finish(self) -> None:
        """End the answer; one that is not whole, as a whole one that keeps as much of it as there is room for."""
        if self.done:
            return
        self.done = True
        constraint = self.constraint
        if constraint.ends and self.tokens and self.tokens[-1] in constraint.ends:
            self.tokens.pop()
        if not (self.matcher.is_accepting() and is_whole(constraint, self.tokens)):
            self.tokens = closed(constraint, self.tokens, self.limit)
        if constraint.ends and len(self.tokens) < self.limit:
            self.tokens.append(constraint.ends[0])
        constraint.free(self.matcher)

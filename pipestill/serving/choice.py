"""One answer of a chat: its text while it is written, up to what stops it."""

from collections.abc import Callable, Sequence

from pipestill.text.pieces import before


class Choice:
    """An answer; the worker's thread writes it.

    Args:
        stops: texts before which it ends.
        publish: is given each piece.
    """

    def __init__(self, stops: Sequence[str], publish: Callable[[str], None] = lambda piece: None):
        self.stops, self.publish = stops, publish
        self.text, self.told, self.stopped = "", 0, False

    def heard(self, piece: Callable[[], str]) -> bool:
        """Take the next piece; whether more is wanted."""
        if not self.stopped and (new := piece()):
            self.text += new
            ends = [place for stop in self.stops if (place := self.text.find(stop)) >= 0]
            if ends:
                self.text, self.stopped = self.text[: min(ends)], True
                self.finish()
            else:
                self._tell(min((len(before(self.text, stop)) for stop in self.stops), default=len(self.text)))
        return not self.stopped

    def finish(self) -> None:
        """Tell what was held back."""
        self._tell(len(self.text))

    def _tell(self, end: int) -> None:
        if end > self.told:
            piece, self.told = self.text[self.told : end], end
            self.publish(piece)

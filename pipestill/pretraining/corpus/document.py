"""Documents of the corpus: segments, some of which carry the loss."""

from dataclasses import dataclass

END_OF_TURN = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"
QUESTION = "<|im_start|>user\n"
ANSWER = f"{END_OF_TURN}\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Document:
    """Segments ``(text, supervised)`` in reading order; ``family`` names the generator."""

    family: str
    segments: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        """The whole document as one string, special tokens included."""
        return "".join(text for text, _ in self.segments)

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """Each learnt segment with what stands before it, both without the template; none in plain text."""
        turns, question = [], ""
        for text, supervised in self.segments:
            if not supervised:
                question += text
            elif question:
                bare = question.lstrip("\n").removeprefix(QUESTION).removesuffix(ANSWER)
                turns.append((bare, text.removeprefix(" ").removesuffix(END_OF_TURN)))
                question = ""
        return tuple(turns)


def plain(family: str, text: str) -> Document:
    """Text that is learnt as a whole."""
    return Document(family, ((text + END_OF_TEXT, True),))


def chat(family: str, *turns: tuple[str, str]) -> Document:
    """Questions and answers in the chat template; only the answers (with their end of turn) are learnt."""
    segments = []
    for question, answer in turns:
        segments.append((f"{QUESTION}{question}{ANSWER}", False))
        segments.append((answer + END_OF_TURN, True))
        segments.append(("\n", False))
    return Document(family, tuple(segments[:-1]))

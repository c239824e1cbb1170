"""The single-task variant of distilling step-by-step: a rationale, a marker and the answer in one text."""

from pipestill.errors import UserError

MARKER = "### Answer"
SEPARATOR = f"\n{MARKER}\n"
MARKER_TOKENS = len(SEPARATOR.encode())  # no token is shorter than a byte


def join(rationale: str | None, answer: str) -> str:
    """The text to learn: the answer below its rationale and the marker, or only the answer without a rationale.

    Raises:
        UserError: the answer holds the marker, so that :func:`split` would cut it.
    """
    if MARKER in answer:
        raise UserError(f"the answer holds `{MARKER}`, which marks where an answer begins: reword it")
    return answer if rationale is None else f"{rationale}{SEPARATOR}{answer}"


def split(text: str) -> tuple[str | None, str]:
    """Rationale and answer of a generated text: the parts before and after its last marker.

    Spaces around the marker do not count, since some tokenizers have no line breaks. Without a marker the rationale is
    none, and the whole text is the answer.
    """
    before, marker, answer = text.rpartition(MARKER)
    return (before.strip() if marker else None), answer.strip()

"""Raw credit records: features as text, never a judgement of the applicant as a whole."""

from random import Random

from pipestill.pretraining.corpus.document import Document, plain
from pipestill.tasks.creditmix.synthetic import draw_applicant


def raw_record(rng: Random) -> Document:
    """One to three applicants, a line each."""
    return plain("credit", "\n".join(draw_applicant(rng).text() for _ in range(rng.randint(1, 3))))

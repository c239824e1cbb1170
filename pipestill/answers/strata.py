"""Strata of records, as numbers."""

from collections.abc import Sequence

import numpy as np

from pipestill.answers.base import Answers
from pipestill.io.records import Record


def strata_of(records: Sequence[Record], answers: Answers) -> np.ndarray:
    """The place of each record's stratum in ``answers.strata``, ``[records]``; -1 of one that is none of them."""
    places = {stratum: place for place, stratum in enumerate(answers.strata)}
    if list(places) == [None]:
        return np.zeros(len(records), dtype=np.int16)
    return np.fromiter((places.get(answers.stratum(record), -1) for record in records), np.int16, len(records))

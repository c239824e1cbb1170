"""Lengths of texts in tokens of a model."""

import math
from collections.abc import Sequence
from pathlib import Path

from pipestill.plan.model_files import ModelFiles

CHARACTERS = 3  # of a token, where a model is not on this machine; those of English have four


class Lengths:
    """Tokens of texts, as a model has them.

    Args:
        directory: of the model; none where it is not on this machine.

    Attributes:
        known: true if its own tokens are counted.
        positions: tokens that it can read; none where nothing says it.
    """

    def __init__(self, directory: Path | None):
        file = directory / "tokenizer.json" if directory else None
        self.known = file is not None and file.is_file()
        self.positions = ModelFiles(directory).positions if directory else None
        self._file = file

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        if not self.known:
            return [math.ceil(len(text) / CHARACTERS) for text in texts]
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._file))
        tokenizer.no_truncation()
        return [len(each.ids) for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

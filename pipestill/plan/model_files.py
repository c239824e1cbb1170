"""What the files of a model directory say of it, read without the libraries of models.

A file that is missing or broken says nothing: where the model is taken, it is refused.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.parsing import parse_json
from pipestill.io.records import Json
from pipestill.settings.models import MASKED, ModelKind

T = TypeVar("T")
LARGEST_HEADER = 100_000_000  # bytes, as the format has it
MATRIX = 2  # axes
BIAS = "bias"  # how the names of biases end


class ModelFiles:
    """The files of one model.

    Args:
        directory: full weights with their tokenizer; none where they are not on this machine.
    """

    def __init__(self, directory: Path | None):
        self.directory = directory

    @cached_property
    def config(self) -> Json:
        """``config.json``; that of the text where a model reads other things too."""
        whole = self._read("config.json", lambda path: dict(read_json(path))) or {}
        return {**whole, **inner} if isinstance(inner := whole.get("text_config"), dict) else whole

    @property
    def kind(self) -> ModelKind | None:
        """The kind of model."""
        names = self.config.get("architectures") or [""]
        if self.config.get("is_encoder_decoder"):
            return "seq2seq"
        if names[0].endswith(MASKED):
            return "masked"
        return "causal" if names[0].endswith(("ForCausalLM", "LMHeadModel")) else None

    @property
    def positions(self) -> int | None:
        """Tokens that it can read."""
        absolute = "n_positions" if str(self.config.get("model_type")).startswith("gpt") else "max_position_embeddings"
        return self._number("max_position_embeddings", absolute)

    @property
    def layers(self) -> int | None:
        """Its layers."""
        return self._number("num_hidden_layers", "n_layer", "num_layers")

    @cached_property
    def vocabulary(self) -> dict[int, str] | None:
        """Tokens by their ids."""
        if self.directory is None or (self.directory / "added_tokens.json").exists():
            return None
        return self._read("tokenizer.json", lambda path: _tokens(read_json(path)))

    @cached_property
    def modules(self) -> frozenset[str]:
        """Modules that have matrices, such as linear layers; empty where weights are not in safetensors."""
        return frozenset(name.rpartition(".")[0] for name, axes in self._tensors.items() if axes == MATRIX)

    @property
    def biased(self) -> bool | None:
        """True if it has biases; none where weights are not in safetensors."""
        named = ((name.rpartition(".")[2], axes) for name, axes in self._tensors.items())
        return any(name.endswith(BIAS) and axes < MATRIX for name, axes in named) if self._tensors else None

    @cached_property
    def _tensors(self) -> dict[str, int]:
        """Axes of each of its tensors."""
        files = sorted(path.name for path in self.directory.glob("model*.safetensors")) if self.directory else []
        return {name: axes for file in files for name, axes in (self._read(file, _axes) or {}).items()}

    def _number(self, *names: str) -> int | None:
        found = (self.config.get(name) for name in names)
        return next((value for value in found if isinstance(value, int) and value > 0), None)

    def _read(self, name: str, read: Callable[[Path], T]) -> T | None:
        try:
            return read(self.directory / name) if self.directory else None
        except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _tokens(tokenizer: Json) -> dict[int, str]:
    known = tokenizer["model"]["vocab"]
    pairs = known.items() if isinstance(known, dict) else ((entry[0], number) for number, entry in enumerate(known))
    added = {each["id"]: each["content"] for each in tokenizer["added_tokens"]}
    return {number: token for token, number in pairs} | added


def _axes(path: Path) -> dict[str, int]:
    """Axes of the tensors of a file of safetensors, which begins with the size of a JSON text that has them."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(size).decode()) if size <= LARGEST_HEADER else {}
    return {name: len(facts["shape"]) for name, facts in header.items() if "shape" in facts}

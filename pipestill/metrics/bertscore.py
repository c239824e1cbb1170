"""BERTScore (Zhang et al., 2020) with an encoder from a local directory, computed by the bert-score library.

The library is given a model and a tokenizer, never a path: a path would decide by its wording how the model is loaded,
could hold pickled weights, and would be part of the library's own signature.
"""

import csv
import hashlib
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError
from pipestill.io import files
from pipestill.io.weights import load_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PARTS = ("precision", "recall", "f")
Baseline = tuple[float, float, float]  # precision, recall and F of unrelated texts, 0..1


@dataclass(frozen=True)
class BertScores:
    """Scores of a set of answers.

    Attributes:
        precision: 0..100 for each answer; below 0 where a rescaled answer is worse than an unrelated text.
        recall: the same.
        f: the same; the best over an answer's references, each part by itself, as the library has it.
        empty: answers or references without a token, which score 0.
        truncated: answers that are longer than the encoder reads, or have such a reference.
    """

    precision: list[float]
    recall: list[float]
    f: list[float]
    empty: int
    truncated: int


class Encoder:
    """One layer of a model in a local directory, in float32 for any stored weights.

    Attributes:
        layer: number of layers before the token vectors; 0 are the embeddings.
        max_length: tokens that it reads of a text.
        signature: library, weights and layer, which decide the scores.

    Raises:
        UserError: the directory holds no such model, not in safetensors, or with fewer layers.
    """

    def __init__(self, directory: Path, layer: int, device: str = "cpu"):
        self._directory, self.layer, self._device = Path(directory), layer, device
        self._tokenizer, model = _load(self._directory)
        layers = model.config.num_hidden_layers
        if not 0 <= layer <= layers:
            raise UserError(f"{directory} has {layers} layers: `layer` {layer} is none of 0 to {layers}")
        self._model = _OneLayer(model.to(device), layer)
        self.max_length = self._tokenizer.model_max_length = min(_positions(model), self._tokenizer.model_max_length)
        self.signature = {
            "library": f"bert-score {version('bert-score')}, transformers {version('transformers')}",
            "encoder": self._directory.name,
            "encoder_sha256": _identity(self._directory),
            "layer": layer,
            "idf": False,
        }

    def score(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        baselines: Sequence[Baseline] | None = None,
        batch_size: int = 32,
    ) -> BertScores:
        """Scores of ``predictions``.

        Args:
            predictions: answers.
            references: acceptable answers of each.
            baselines: scores of unrelated texts, of each answer's language: 0 after rescaling.
            batch_size: texts that are read at a time.

        Raises:
            UserError: the lists differ in length.
        """
        if len(predictions) != len(references) or (baselines is not None and len(baselines) != len(predictions)):
            raise UserError(
                f"{len(predictions)} predictions cannot be scored against references of {len(references)} rows"
            )
        pairs = [
            (row, prediction, text)
            for row, (prediction, texts) in enumerate(zip(predictions, references, strict=True))
            for text in texts
        ]
        lengths = {text: self._length(text) for _, *both in pairs for text in both}
        full = [pair for pair in pairs if lengths[pair[1]] and lengths[pair[2]]]
        best = [[0.0] * len(predictions) for _ in PARTS]
        found: dict[int, list[tuple[float, ...]]] = {}
        for (row, *_), values in zip(full, self._cosines(full, batch_size), strict=True):
            found.setdefault(row, []).append(values)
        for row, values in found.items():
            for part, column in enumerate(zip(*values, strict=True)):
                base = baselines[row][part] if baselines is not None else 0.0
                best[part][row] = 100 * (max(column) - base) / (1 - base)
        emptied = {row for row in range(len(predictions)) if row not in found}
        cut = {row for row, *both in pairs if max(lengths[text] for text in both) > self.max_length}
        return BertScores(*best, empty=len(emptied), truncated=len(cut))

    def random_baseline(self, texts: Sequence[str], pairs: int = 1000, seed: int = 0) -> Baseline:
        """Mean scores of ``pairs`` pairs of different texts drawn from ``texts``: the baseline of unrelated texts."""
        if len(set(texts)) < 2:
            raise UserError("a baseline of BERTScore needs two different texts at least")
        rng, drawn = Random(f"baseline {seed}"), []
        while len(drawn) < pairs:
            one, other = rng.sample(texts, 2)
            if one != other:
                drawn.append((one, other))
        scores = self.score([one for one, _ in drawn], [[other] for _, other in drawn])
        return tuple(sum(getattr(scores, part)) / (100 * pairs) for part in PARTS)

    def _length(self, text: str) -> int:
        """Tokens of ``text`` with the special ones that surround it; 0 where there is nothing between them."""
        ids = self._tokenizer(text.strip(), add_special_tokens=False, truncation=False)["input_ids"]
        return len(ids) + self._tokenizer.num_special_tokens_to_add() if ids else 0

    def _cosines(self, pairs: Sequence[tuple[int, str, str]], batch_size: int) -> list[tuple[float, ...]]:
        """Precision, recall and F (0..1) of each pair of an answer and a reference."""
        if not pairs:
            return []
        weights: dict[Any, float] = defaultdict(lambda: 1.0)
        for special in (self._tokenizer.sep_token_id, self._tokenizer.cls_token_id):
            weights[special] = 0.0
        scores = _library().bert_cos_score_idf(
            self._model,
            [reference for *_, reference in pairs],
            [answer for _, answer, _ in pairs],
            self._tokenizer,
            weights,
            device=self._device,
            batch_size=batch_size,
        )
        return [tuple(row) for row in scores.tolist()]


class _OneLayer:
    """A model as the library calls it, whose only output is one layer's."""

    def __init__(self, model: "PreTrainedModel", layer: int):
        self._model, self._layer = model.eval(), layer
        self.parameters = model.parameters

    def eval(self) -> None:
        """It is in this mode already."""

    def __call__(self, input_ids: Any, attention_mask: Any, **_: Any) -> tuple[Any]:
        """Vectors ``[texts, tokens, hidden]``."""
        output = self._model(input_ids, attention_mask=attention_mask, output_hidden_states=True)
        return (output.hidden_states[self._layer],)


def read_baseline(path: Path, layer: int) -> Baseline:
    """Precision, recall and F of unrelated texts from a file ``LAYER,P,R,F`` as the library has it.

    Raises:
        UserError: the file is missing, or has no row of the layer.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = {int(row["LAYER"]): tuple(float(row[name]) for name in "PRF") for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name a file of baselines (LAYER,P,R,F)") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a file of baselines (LAYER,P,R,F): {error}") from None
    if layer not in rows:
        raise UserError(f"{path} has no baseline of layer {layer}; it has those of {min(rows)} to {max(rows)}")
    return rows[layer]


def published_baseline(model: str, language: str) -> Path:
    """The file of baselines that the library ships for a model of the hub and a language.

    Raises:
        UserError: it ships none.
    """
    library = find_spec("bert_score")  # without its import, which takes seconds
    if library is None:
        raise UserError("bert-score is not installed here, which ships baselines: install it, or use `corpus`")
    path = Path(library.origin).parent / "rescale_baseline" / language / f"{model}.tsv"
    if not path.is_file():
        raise UserError(f"bert-score ships no baseline of {model} in the language `{language}`: use `corpus`")
    return path


@cache
def _library() -> ModuleType:
    """The library's module of scores, without the imports of the package around it: pandas, and matplotlib to plot."""
    module = "bert_score.utils"
    if "bert_score" in sys.modules:
        return import_module(module)
    sys.modules["bert_score"] = package = module_from_spec(find_spec("bert_score"))
    package.__version__ = version("bert-score")  # all that the module takes from it
    try:
        return import_module(module)
    finally:  # whoever wants the package imports it whole
        del sys.modules["bert_score"]
        sys.modules.pop(module, None)


def _load(directory: Path) -> tuple["PreTrainedTokenizerBase", "PreTrainedModel"]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{directory} holds no tokenizer that can be read: {reason}") from None
    what = f"encoder {directory}"
    model = load_whole(AutoModel, directory, what, spare=None, unread=r"^pooler\.", dtype=torch.float32)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.split_special_tokens = True  # what stands in an answer is text
    return tokenizer, model


def _positions(model: "PreTrainedModel") -> float:
    """Tokens that a model has positions for; RoBERTa and its kin begin to count after the padding token's id."""
    positions = getattr(model.config, "max_position_embeddings", None) or float("inf")
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return positions if padding is None else positions - padding - 1


def _identity(directory: Path) -> str:
    """Digest of the encoder's list of checksums, or of its files where it has none."""
    if (directory / files.SHA256SUMS).is_file():
        return files.verify_sha256sums(directory)
    digests = [f"{files.sha256(path)}  {path.name}\n" for path in sorted(directory.glob("*")) if path.is_file()]
    return hashlib.sha256("".join(digests).encode()).hexdigest()

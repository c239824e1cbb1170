"""Kinds of models: loading, adapters and reading of each, as its ``config.json`` says."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipestill.errors import UserError, first_line
from pipestill.settings.models import MASKED, ModelKind

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

CLASSIFIER = "classifier"
BODY = "body_kind"  # in the config of a classifier that was made here
TrainedKind = ModelKind | Literal["classifier"]  # a classifier is trained here, and never a base model


@dataclass(frozen=True)
class Kind:
    """Names of a kind of model in the libraries.

    Attributes:
        auto_class: the class of transformers that finds the architecture.
        task_type: of an adapter of peft; it knows none for masked language models, and needs none.
        words: its name in messages.
    """

    auto_class: str
    task_type: str | None
    words: str


KINDS: dict[TrainedKind, Kind] = {
    "causal": Kind("AutoModelForCausalLM", "CAUSAL_LM", "causal language model"),
    "seq2seq": Kind("AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM", "encoder-decoder"),
    "masked": Kind("AutoModelForMaskedLM", None, "masked language model"),
    CLASSIFIER: Kind("AutoModelForSequenceClassification", "SEQ_CLS", "classifier"),
}


def kind_of(config: "PreTrainedConfig") -> TrainedKind:
    """The kind of model that a config describes."""
    names = config.architectures or ()
    if any(name.endswith("ForSequenceClassification") for name in names):
        return CLASSIFIER
    if config.is_encoder_decoder:
        return "seq2seq"
    return "masked" if any(name.endswith(MASKED) for name in names) else "causal"


def body_kind(config: "PreTrainedConfig") -> ModelKind:
    """The kind of language model that reads prompts: of a classifier, that of which it has the body."""
    kind = kind_of(config)
    return getattr(config, BODY, "causal") if kind == CLASSIFIER else kind


def read_config(directory: Path) -> "PreTrainedConfig":
    """The ``config.json`` of a model directory.

    Raises:
        UserError: it describes no model that transformers knows.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True)
    except Exception as error:  # transformers raises whatever a foreign config leads to
        problem = first_line(error)
        raise UserError(f"config.json of {directory} does not describe a language model: {problem}") from error


def auto_class(kind: TrainedKind) -> Any:
    """The class of transformers that loads models of this kind."""
    import transformers

    return getattr(transformers, KINDS[kind].auto_class)


@dataclass(frozen=True)
class Reading:
    """How models read a prompt and its answer; two models that read alike can be compared token by token.

    Attributes:
        kind: of the model.
        start: token that the decoder of an encoder-decoder starts with; none for other models.
    """

    kind: ModelKind = "causal"
    start: int | None = None


def reading(config: "PreTrainedConfig") -> Reading:
    """How the model of a config reads.

    Raises:
        UserError: an encoder-decoder names no start of its answers.
    """
    kind = kind_of(config)
    if kind != "seq2seq":
        return Reading(kind)
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise UserError(
            f"config.json of the {config.model_type} model names no decoder_start_token_id, so nothing says what its "
            "answers start after: set it (T5 and Marian use the padding token)"
        )
    return Reading(kind, start)


def reading_of(directory: Path) -> Reading:
    """As :func:`reading`, of the model in a directory of full weights, such as a base model."""
    return reading(read_config(directory))

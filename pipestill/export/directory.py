"""A run of an experiment as a plain directory of transformers."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill import __version__
from pipestill.errors import UserError
from pipestill.evaluation.evaluation import Evaluation, read_evaluation
from pipestill.export.card import Exported, export_card
from pipestill.export.prompting import chat_template
from pipestill.inference.target import Target
from pipestill.io.files import (
    SHA256SUMS,
    fresh_directory,
    read_json,
    sha256,
    write_json,
    write_sha256sums,
    write_text,
)
from pipestill.models.checkpoint import ADAPTER_WEIGHTS
from pipestill.models.convert import INDEX
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import body_kind, kind_of, read_config
from pipestill.models.libraries import silence_libraries
from pipestill.models.lineage import ADAPTER, is_adapter, resolve
from pipestill.models.loading import check_directory, load_tokenizer, load_trained_model, special_tokens
from pipestill.models.prompts import PromptEncoder, encode_label
from pipestill.models.provide import SAFETENSORS, place
from pipestill.models.saving import tidy
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import WRITERS

LEGAL = ("LICENSE*", "NOTICE*")


def check_place(directory: Path) -> None:
    """Refuse a directory that is in use.

    Raises:
        UserError: something lies there.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} is not empty: name a directory that does not exist")


@dataclass(frozen=True)
class Origin:
    """What a model was made of.

    Attributes:
        target: the run.
        evaluation: of its experiment.
        base: name of its base model, or the repository of the hub that it is from.
        revision: commit of that repository; none where the base model is from elsewhere.
    """

    target: Target
    evaluation: Evaluation
    base: str
    revision: str | None

    @classmethod
    def of(cls, target: Target) -> "Origin":
        """The origin of ``target``.

        Raises:
            UserError: it was not evaluated, or answers by what stands before its prompts.
        """
        if target.settings.context:
            raise UserError(
                f"`{target.name}` answers by demonstrations that stand before each prompt, which no directory of a "
                "model can hold: export an experiment without them"
            )
        path = target.base / "provenance.json"
        facts = read_json(path) if path.is_file() else {}
        evaluation = read_evaluation(target.run.parents[1] / "eval.json")
        return cls(target, evaluation, facts.get("repo") or target.base.name, facts.get("revision"))

    @property
    def adapter(self) -> bool:
        """True if the model is an adapter, unless it is merged."""
        return self.target.model is not None and is_adapter(self.target.model)

    def facts(self) -> dict[str, Any]:
        """The content of ``provenance.json``."""
        target = self.target
        model = target.base if target.model is None else target.model
        return {
            "experiment": self.evaluation.experiment,
            "seed": target.seed,
            "base_model": {
                "name": self.base,
                "revision": self.revision,
                "sha256sums": sha256(target.base / SHA256SUMS),
            },
            "model": {"sha256sums": sha256(model / SHA256SUMS)},
            "pipestill": {"version": __version__, "git_commit": self.evaluation.provenance.git_commit},
        }


def export_model(origin: Origin, directory: Path, name: str, *, merge: bool) -> None:
    """Write the model of a run to ``directory``, which appears when everything in it is complete.

    Transformers loads it by the class that :data:`~pipestill.models.kinds.KINDS` names, and its chat template renders
    questions to the tokens that the pipeline asks with. An adapter lies beside the weights that it belongs to.

    Args:
        origin: of the model.
        directory: does not exist, or is empty.
        name: that its card loads it by.
        merge: add an adapter to those weights.

    Raises:
        UserError: there is something in ``directory``, the model is damaged, or its prompts cannot be rendered.
    """
    check_place(directory)
    silence_libraries()
    target = origin.target
    model = target.base if target.model is None else target.model
    with fresh_directory(directory.resolve()) as temporary:
        _write_weights(target, temporary, merge)
        tokenizer = load_tokenizer(model)
        config = read_config(temporary)
        kind, asking = kind_of(config), target.settings.asking
        words = [encode_label(tokenizer, asking.prompt.answer(each)) for each in target.task.answers.classes]
        encoder = PromptEncoder(tokenizer, body_kind(config), asking.prompt.form)
        masks = len(words[0]) if words else 0
        tokenizer.chat_template = chat_template(tokenizer, kind, encoder, asking.prompt, masks)
        tokenizer.save_pretrained(temporary)
        tidy(temporary)
        if is_adapter(temporary):
            own = {"base_model_name_or_path": origin.base, "revision": origin.revision}
            write_json(temporary / ADAPTER, read_json(temporary / ADAPTER) | own)
        if kind in WRITERS:
            start = {"decoder_start_token_id": config.decoder_start_token_id} if kind == "seq2seq" else {}
            ends = special_tokens(tokenizer, _ends(model, target.base))
            write_json(temporary / "generation_config.json", {**_generation(target), **ends, **start})
        for pattern in LEGAL:
            for path in sorted(target.base.glob(pattern)):
                place(path, temporary / path.name)
        write_json(temporary / "provenance.json", origin.facts() | {"merged": merge and origin.adapter})
        apart, from_hub = origin.adapter and not merge, origin.revision is not None
        packed = hasattr(config, "quantization_config")
        exported = Exported(name, origin.base, from_hub, kind, asking, apart, packed)
        write_text(temporary / "README.md", export_card(origin.evaluation, exported, target.base))
        write_sha256sums(temporary)


def _write_weights(target: Target, temporary: Path, merge: bool) -> None:
    """Write weights and their ``config.json``, and an adapter that is not merged beside them.

    Full weights are copied. What an adapter belongs to, which may have others in it, is written in the number format
    that it was computed with.
    """
    if target.model is None:
        check_directory(target.base)
        source, adapters = target.base, []
    else:
        source, adapters = resolve(target.model, target.base)
    if not adapters:
        for path in sorted(source.iterdir()):
            if SAFETENSORS.fullmatch(path.name) or path.name in (INDEX, "config.json"):
                place(path, temporary / path.name)
        return
    precision = read_json(target.run.parent / "hardware.json")["precision"]
    plan = HardwarePlan("cpu", "bf16" if precision == "bf16" else "fp32")
    loaded = load_trained_model(target.model, target.base, plan, merge=merge)
    if not merge:
        loaded = loaded.unload()
    loaded.save_pretrained(temporary)
    if not merge:
        for name in (ADAPTER, ADAPTER_WEIGHTS[0]):
            shutil.copyfile(target.model / name, temporary / name)


def _generation(target: Target) -> dict[str, Any]:
    """How a model is asked, in the words of transformers; greedily for answers that are not generated."""
    asking = target.settings.asking
    options = target.task.answers.options(asking.answers)
    decoding = options if isinstance(options, GenerationConfig) else GenerationConfig()
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": decoding.top_k}
    size = decoding.no_repeat_ngram_size
    return {
        "do_sample": decoding.sampling,
        "max_new_tokens": asking.max_new_tokens,
        **(drawn if decoding.sampling else {}),
        **({"no_repeat_ngram_size": size} if size else {}),
    }


def _ends(*directories: Path) -> int | list[int] | None:
    """Tokens that end an answer, as the first of ``directories`` that says some has them."""
    for directory in directories:
        path = directory / "generation_config.json"
        if path.is_file() and (found := read_json(path).get("eos_token_id")) is not None:
            return found
    return None

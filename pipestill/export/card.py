"""The model card of an exported model: how to use it, whose licence it has, and the numbers of its experiment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.model_card import model_card
from pipestill.models.kinds import CLASSIFIER, KINDS, TrainedKind
from pipestill.settings.jobs import Asking
from pipestill.text.marker import MARKER

FENCE = "---"
LICENCE = ("license", "license_name", "license_link")  # keys of a card's header
PIPELINES: dict[TrainedKind, str] = {
    "causal": "text-generation",
    "seq2seq": "text-generation",  # the hub has no other name for text to text
    "masked": "fill-mask",
    CLASSIFIER: "text-classification",
}
ANSWERING: dict[TrainedKind, str] = {  # a line that prints the answer to `prompt`
    "causal": "print(tokenizer.decode(model.generate(**prompt)[0, prompt.input_ids.shape[1]:], "
    "skip_special_tokens=True))",
    "seq2seq": "print(tokenizer.decode(model.generate(**prompt)[0], skip_special_tokens=True))",
    "masked": "print(tokenizer.decode(model(**prompt).logits[prompt.input_ids == tokenizer.mask_token_id].argmax(-1)))",
    CLASSIFIER: "print(model.config.id2label[model(**prompt).logits.argmax().item()])",
}


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        name: that it is loaded by: of its directory, or its repository.
        base: name or repository of its base model.
        from_hub: whether the hub has that.
        kind: of the model.
        asking: how it is asked.
        adapter: it is an adapter beside the weights that it belongs to.
        packed: its weights are quantised.
    """

    name: str
    base: str
    from_hub: bool
    kind: TrainedKind
    asking: Asking
    adapter: bool
    packed: bool = False


def export_card(evaluation: Evaluation, exported: Exported, base: Path) -> str:
    """The card's Markdown, with the header that the hub reads.

    Args:
        evaluation: of the experiment.
        exported: the model.
        base: directory of its base model, whose licence it has.
    """
    said = _header(base / "README.md")
    licence = {key: said[key] for key in LICENCE if key in said}
    relation = "adapter" if exported.adapter else "finetune"
    header = {
        **(licence or {"license": "unknown"}),
        **({"base_model": exported.base, "base_model_relation": relation} if exported.from_hub else {}),
        "library_name": "transformers",
        "pipeline_tag": PIPELINES[exported.kind],
        "tags": ["pipestill", evaluation.task, evaluation.method],
    }
    parts = [
        f"{FENCE}\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}{FENCE}",
        model_card(evaluation, _use(exported)).strip(),
        "## Licence",
        _licence(exported.base, licence),
    ]
    return "\n\n".join(parts) + "\n"


def _use(exported: Exported) -> str:
    prompt = exported.asking.prompt
    question = prompt.fill({name: f"<{name}>" for name in prompt.template.gaps})
    message = json.dumps([{"role": "user", "content": question}], ensure_ascii=False)
    auto = KINDS[exported.kind].auto_class
    code = [
        f"from transformers import {auto}, AutoTokenizer",
        f'tokenizer, model = AutoTokenizer.from_pretrained("{exported.name}"), {auto}.from_pretrained('
        f'"{exported.name}").eval()',
        f"prompt = tokenizer.apply_chat_template({message}, "
        'add_generation_prompt=True, return_dict=True, return_tensors="pt")',
        ANSWERING[exported.kind],
    ]
    sentences = [
        "The chat template renders a question to the tokens that the model was trained and tested with. What stands in "
        f"angle brackets is yours; a prompt has at most {exported.asking.max_prompt_tokens} tokens."
    ]
    if exported.asking.rationale_tokens:
        sentences.append(f"The model writes a rationale first; its answer stands behind `{MARKER}`.")
    if prompt.verbalizers:
        words = ", ".join(f"`{word}` for {label}" for label, word in prompt.verbalizers.items())
        sentences.append(f"It answers {words}.")
    if exported.adapter:
        sentences.append(
            f"The adapter (`adapter_model.safetensors`) is loaded onto the weights that lie beside it, of "
            f"`{exported.base}`."
        )
    if exported.packed:
        sentences.append("Its weights are quantised, which takes the package `compressed-tensors` to load.")
    sentences.append(
        "The numbers below are of answers as `pipestill predict` finds them, with the labels or options of decoding "
        "and the calibration that the tables name."
    )
    return "\n".join(["```python", *code, "```", "", " ".join(sentences)])


def _licence(base: str, licence: dict[str, Any]) -> str:
    if not licence:
        return (
            f"The files of the base model `{base}` do not say which licence they have: look there before you pass "
            "this model on."
        )
    return f"That of the base model `{base}`: {licence.get('license_name') or licence.get('license')}."


def _header(card: Path) -> dict[str, Any]:
    """What the header of a model card says; nothing where there is none that can be read."""
    if not card.is_file():
        return {}
    text = card.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    if not text.startswith(f"{FENCE}\n"):
        return {}
    try:
        found = yaml.safe_load(text.removeprefix(FENCE).partition(f"\n{FENCE}")[0])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}

"""The model card of a pre-trained model: architecture, training and probes, all from the run itself."""

from dataclasses import dataclass
from pathlib import Path

from pipestill.pretraining.corpus.mixture import shares
from pipestill.settings.models import ModelKind

HEAD = """\
---
license: apache-2.0
language: [en, es]
library_name: transformers
pipeline_tag: {words.pipeline}
---

# {name}

{words.what} with {parameters:.2f} M parameters, pre-trained by pipestill from
scratch on a synthetic corpus. {words.able} It knows nothing of any study's labels: the
corpus holds no text of a study, and of its prompts only three forms for pairs of sentences (`minimal`, `gpt-3` and
`eval-harness` of the task `mnli`), with sentences of its own. {words.use}
"""
PROBES = """\
## Probes

Documents of a seed that training never used, read by the model as it lies in this directory. Accuracy is the share of
supervised tokens whose most probable token is the right one, {probed}
"""
FOOT = (
    "Made by `snakemake pretrain_demo_models`. `python workflow_scripts/probe_demo_models.py` runs the probes again.\n"
)
LAST = 100  # steps behind the final loss


@dataclass(frozen=True)
class Words:
    """Words of the card for a kind of model; ``pipeline`` is the hub's name of its use."""

    pipeline: str
    what: str
    able: str
    use: str
    circuit: str
    curriculum: str
    strings: str
    probed: str


ABLE = "It can copy, read numbers and keep a format."
USE = "It is the base of the embedded default, not a model for real data."
WORDS: dict[ModelKind, Words] = {
    "causal": Words(
        pipeline="text-generation",
        what="A causal language model of the Qwen2 architecture",
        able=ABLE,
        use=USE,
        circuit="induction head",
        curriculum="repeated random strings",
        strings="said twice",
        probed="""given the right ones before it; in plain text (all of
`credit`, some of `reports`, `invoices`, `code` and `facts`) many tokens cannot be known. `copy n` is a random string of
n tokens said twice.""",
    ),
    "seq2seq": Words(
        pipeline="text2text-generation",
        what="An encoder-decoder of the T5 architecture (gated feed-forward layers)",
        able=ABLE,
        use=USE,
        circuit="relative bias, cross-attention",
        curriculum="random strings to be copied",
        strings="to be copied",
        probed="""given the right ones before it: answers to
questions, each after the whole conversation or behind the sentinels of all answers, and in plain text (all of
`credit`, some of `reports`, `invoices`, `code` and `facts`) hidden spans, of which many cannot be known. `copy n` is a
random string of n tokens to be said again.""",
    ),
    "masked": Words(
        pipeline="fill-mask",
        what="A masked language model of the BERT architecture",
        able="It fills in hidden tokens of such texts; how often rightly, the probes say.",
        use="It is the base of the study `mnli-bert` and compares texts in tests of BERTScore; it is not a model for "
        "real data.",
        circuit="heads that compare the neighbours of two places, and heads that say what stands nowhere else",
        curriculum="repeated random strings with hidden tokens and pairs of sentences",
        strings="said twice, with hidden tokens",
        probed="""of those that were hidden (15 %, answers more
often than the rest; of `differences` the answers alone);
many cannot be known. `copy n` is a random string of n tokens said twice, 15 % hidden.""",
    ),
}


def write_model_card(
    directory: Path, name: str, recipe, counters, log: list[dict], probes: dict[str, dict[str, float]]
) -> None:
    """Write ``README.md`` for the model in ``directory``."""
    from pipestill.models.kinds import auto_class
    from pipestill.pretraining.probes import mean_accuracy

    words = WORDS[recipe.shape.kind]
    model = auto_class(recipe.shape.kind).from_pretrained(str(directory))
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    probe_rows = [(k, f"{r['accuracy']:.4f}", f"{r['loss']:.4f}", f"{r['tokens']:,}") for k, r in probes.items()]
    mean = ("**mean**", f"**{mean_accuracy(probes):.4f}**", "", "")
    parts = [
        HEAD.format(name=name, words=words, parameters=parameters),
        _table(("", ""), _architecture(model.config, recipe)),
        "## Training\n",
        _table(("", ""), _training(recipe, words, counters, log)),
        PROBES.format(probed=words.probed),
        _table(("probe", "accuracy", "loss", "tokens"), [*probe_rows, mean]),
        FOOT,
    ]
    (Path(directory) / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _architecture(config, recipe) -> list[tuple[str, str]]:
    shape = recipe.shape
    fewer = f" ({shape.kv_heads} for keys and values)" if shape.kind == "causal" else ""
    layers = f"{shape.layers} + {shape.layers}" if shape.kind == "seq2seq" else f"{shape.layers}"
    body = f"{layers} layers of width {shape.hidden}, {shape.heads} heads{fewer}"
    positions = getattr(config, "max_position_embeddings", "relative")
    return [
        ("architecture", f"{body}, feed-forward {shape.intermediate}, tied embeddings"),
        ("tokenizer", f"byte-level BPE, {config.vocab_size} entries, single digits; mask and sentinels reserved"),
        ("special tokens", "`<|im_end|>` ends a turn, `<|endoftext|>` pads"),
        ("positions", f"{positions}; trained on rows of {recipe.length} and {2 * recipe.length}"),
        ("weights", "bfloat16 safetensors, trained in float32"),
    ]


def _training(recipe, words: Words, counters, log: list[dict]) -> list[tuple[str, str]]:
    from pipestill.pretraining.architectures import ARCHITECTURES

    recent = [entry["loss"] for entry in log if entry["phase"] == "corpus" and entry["step"] > recipe.steps - LAST]
    architecture = ARCHITECTURES[recipe.shape.kind]
    parts = shares(architecture.emphasis, architecture.families)
    rates = f"Muon {recipe.lr:g} for the layers' matrices, AdamW {recipe.embedding_lr:g} for the rest"
    return [
        ("initialisation", f"copy circuit ({words.circuit}) set by hand, the rest random"),
        ("phases", f"{counters.copy_steps} steps of {words.curriculum}, {counters.step} steps of the corpus"),
        ("corpus (shares of tokens)", ", ".join(f"{name} {share:.3g} %" for name, share in parts.items())),
        ("strings", f"from step {recipe.strings_from} on, one row of each batch holds random strings {words.strings}"),
        ("tokens read", f"{counters.tokens:,}, of them {counters.supervised:,} supervised"),
        ("learning rates", rates),
        ("schedule", f"{recipe.warmup} warm-up steps, the last {recipe.cooldown:.0%} linear to {recipe.floor:.0%}"),
        ("seed", str(recipe.seed)),
        ("cost", f"{counters.cpu_seconds:,.0f} CPU-seconds on one thread ({counters.wall_seconds:,.0f} s in all)"),
        (f"mean loss of the last {LAST} steps", f"{sum(recent) / len(recent):.4f} nats per supervised token"),
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

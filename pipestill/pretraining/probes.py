"""Probes of a pre-trained model on documents that it has not seen: answer tokens of each family, and copying."""

from pathlib import Path

from pipestill.pretraining.corpus.mixture import family_documents

PROBE_SEED = "probe 1"
DOCUMENTS = 150  # per family
COPY_LENGTHS = (32, 128, 256)


def probe(directory: Path, documents: int = DOCUMENTS) -> dict[str, dict[str, float]]:
    """Probe the model in ``directory``, as it was saved.

    Returns:
        For each family, and for copies of random strings (``copy 32``: of 32 tokens): ``accuracy`` (share of
        supervised tokens whose most probable token is the right one), ``loss`` (nats per supervised token), ``tokens``.
    """
    import torch
    from tokenizers import Tokenizer

    from pipestill.models.kinds import auto_class, kind_of, read_config
    from pipestill.pretraining.architectures import ARCHITECTURES
    from pipestill.pretraining.packing import RepeatedStrings, documents_as_batches, first_plain_id

    tokenizer = Tokenizer.from_file(str(Path(directory) / "tokenizer.json"))
    kind = kind_of(read_config(directory))
    architecture = ARCHITECTURES[kind]
    model = auto_class(kind).from_pretrained(str(directory), dtype=torch.float32).eval()
    sets = {}
    for family in architecture.families:
        held_out = family_documents(family.name, PROBE_SEED, documents, architecture.families)
        sets[family.name] = documents_as_batches(architecture, held_out, tokenizer, PROBE_SEED)
    ids = range(first_plain_id(tokenizer), tokenizer.get_vocab_size())
    for length in COPY_LENGTHS:
        sets[f"copy {length}"] = [RepeatedStrings(architecture, ids, PROBE_SEED, 16, 2 * length)(0)]
    results = {}
    with torch.inference_mode():
        for name, batches in sets.items():
            right = loss = tokens = 0
            for batch in batches:
                logits, targets = architecture.supervised_logits(model, batch)
                right += int((logits.argmax(-1) == targets).sum())
                loss += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
                tokens += targets.numel()
            results[name] = {"accuracy": round(right / tokens, 4), "loss": round(loss / tokens, 4), "tokens": tokens}
    return results


def mean_accuracy(results: dict[str, dict[str, float]]) -> float:
    """Mean of the accuracies over families and copy lengths, each counted once."""
    return sum(result["accuracy"] for result in results.values()) / len(results)

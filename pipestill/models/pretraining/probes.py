"""Probes of a pre-trained model on documents that it has not seen: answer tokens of each family, and copying."""

from pathlib import Path

from pipestill.models.pretraining.corpus.mixture import FAMILIES, family_documents

PROBE_SEED = "probe 1"
DOCUMENTS = 150  # per family
COPY_LENGTHS = (32, 128, 256)


def probe(directory: Path, documents: int = DOCUMENTS) -> dict[str, dict[str, float]]:
    """Probe the model in ``directory``, as it was saved.

    Returns:
        For each family, and for random strings said twice (``copy 32``: of 32 tokens): ``accuracy`` (share of
        supervised tokens whose most probable token is the right one), ``loss`` (nats per supervised token), ``tokens``.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    from pipestill.models.pretraining.packing import RepeatedStrings, documents_as_batches, first_plain_id
    from pipestill.models.pretraining.pretrain import supervised_logits

    tokenizer = Tokenizer.from_file(str(Path(directory) / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(str(directory), dtype=torch.float32).eval()
    sets = {
        family.name: documents_as_batches(family_documents(family.name, PROBE_SEED, documents), tokenizer)
        for family in FAMILIES
    }
    for length in COPY_LENGTHS:
        strings = RepeatedStrings(tokenizer.get_vocab_size(), first_plain_id(tokenizer), PROBE_SEED, 16, 2 * length)
        sets[f"copy {length}"] = [strings(0)]
    results = {}
    with torch.inference_mode():
        for name, batches in sets.items():
            right = loss = tokens = 0
            for batch in batches:
                logits, targets = supervised_logits(model, batch)
                right += int((logits.argmax(-1) == targets).sum())
                loss += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
                tokens += targets.numel()
            results[name] = {"accuracy": round(right / tokens, 4), "loss": round(loss / tokens, 4), "tokens": tokens}
    return results


def mean_accuracy(results: dict[str, dict[str, float]]) -> float:
    """Mean of the accuracies over families and copy lengths, each counted once."""
    return sum(result["accuracy"] for result in results.values()) / len(results)

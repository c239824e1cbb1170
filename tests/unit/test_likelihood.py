"""Likelihood of references against full logits of one row at a time, and the metrics that are made of it."""

import math
from types import SimpleNamespace

import pytest
import torch

from pipestill.answers.text import score
from pipestill.inference.likelihood import likelihoods
from pipestill.inference.loaded import Loaded
from pipestill.io.records import Record, write_jsonl
from pipestill.models.prompts import encode_answer, encode_prompt, encode_source
from pipestill.tasks import TASKS
from support.asking import asking_about
from support.models import CPU, make_model, make_t5, make_tokenizer

RECORDS = [
    Record(f"r{i}", "test", {"instruction": f"Age: {20 + i}.0 " * 30}, "Good " * (1 + i), ["Good"], "en")
    for i in range(3)
]
LIMIT = 40  # tokens of a prompt: all are longer


def by_hand(model, tokenizer, record, seq2seq, before=""):
    """Sum of negative log-likelihoods and tokens that the model finds likeliest, in float64; ``before`` is read too."""
    answer = encode_answer(tokenizer, record.target)
    read = tokenizer.encode(before, add_special_tokens=False)
    if seq2seq:
        source = encode_source(tokenizer, record.inputs["instruction"], LIMIT)
        start = model.config.decoder_start_token_id
        target = torch.tensor([[start, *read, *answer[:-1]]])
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=target).logits[0, len(read) :]
    else:
        prompt = encode_prompt(tokenizer, record.inputs["instruction"], LIMIT) + read
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    log_probs = logits.double()[:, : len(tokenizer)].log_softmax(-1)
    gold = torch.tensor(answer)
    return -float(log_probs[range(len(answer)), gold].sum()), int((log_probs.argmax(-1) == gold).sum()), len(answer)


@pytest.mark.parametrize("seq2seq", [False, True])
@torch.no_grad()
def test_likelihoods_are_those_of_full_logits(seq2seq):
    tokenizer = make_tokenizer()
    model = (make_t5 if seq2seq else make_model)(len(tokenizer), seed=3).eval()
    asking = asking_about("dolly", max_prompt_tokens=LIMIT, max_new_tokens=8)
    rows = likelihoods(Loaded(model, tokenizer, CPU), asking, RECORDS, "run", {"r2": "Age"})
    assert [row["id"] for row in rows] == ["r0", "r1", "r2"]
    for row in rows:
        before = "Age\n### Answer\n" if row["id"] == "r2" else ""
        nll, correct, tokens = by_hand(model, tokenizer, RECORDS[int(row["id"][1])], seq2seq, before)
        assert (row["correct"], row["tokens"]) == (correct, tokens)
        assert row["nll"] == pytest.approx(nll, rel=1e-5)


def test_perplexity_and_token_accuracy_are_of_all_tokens(tmp_path):
    run = tmp_path / "seed_1"
    run.mkdir()
    fields = {"split": "test", "sampling_seed": None, "prediction": "a b", "references": ["a b"]}
    answers = [
        {"id": name, "test_set": language, **fields} for name, language in (("a", "en"), ("b", "en"), ("c", "es"))
    ]
    write_jsonl(run / "predictions.jsonl", answers)
    facts = {"a": (2.0, 3, 4), "b": (12.0, 1, 6), "c": (30.0, 0, 10)}
    rows = [dict(zip(("id", "nll", "correct", "tokens"), (name, *fact), strict=True)) for name, fact in facts.items()]
    write_jsonl(run / "likelihood.jsonl", rows)
    experiment = SimpleNamespace(test_sets=["en", "es"], splitter="sentencex")
    metrics = score.runs(TASKS["multiclinsum"], experiment, tmp_path, {})[1].metrics
    assert metrics["perplexity"].estimate() == pytest.approx(math.exp(44 / 20))
    assert metrics["perplexity/en"].estimate() == pytest.approx(math.exp(14 / 10))
    assert metrics["token_accuracy"].estimate() == pytest.approx(4 / 20)
    assert metrics["token_accuracy/es"].estimate() == 0

from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer

from pipestill.pretraining import packing
from pipestill.pretraining.architectures import ARCHITECTURES
from pipestill.pretraining.batch import IGNORE, Encoded
from pipestill.pretraining.corpus.document import chat, plain
from pipestill.pretraining.corpus.mixture import FAMILIES, family_documents
from pipestill.pretraining.packing import CorpusBatches, RepeatedStrings, first_fit
from pipestill.pretraining.recipe import Shape

CAUSAL = ARCHITECTURES["causal"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    path = Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json"
    return Tokenizer.from_file(str(path))


def test_packed_documents_have_the_logits_that_they_have_alone(tokenizer):
    shape = Shape(layers=2, hidden=32, heads=2, kv_heads=1, intermediate=48)
    model = CAUSAL.build(shape, tokenizer.get_vocab_size(), seed=3)
    rng = Random(1)
    documents = [Encoded(ids := rng.choices(range(20, 1500), k=n), ids) for n in (9, 14, 5, 11)]
    batch = CAUSAL.pack([documents[:3], documents[3:]], (32,))
    logits, targets = CAUSAL.supervised_logits(model, batch)
    alone = [model(input_ids=torch.tensor([document.ids])).logits[0, :-1] for document in documents]
    torch.testing.assert_close(logits, torch.cat(alone), atol=1e-5, rtol=1e-5)
    assert targets.tolist() == [token for document in documents for token in document.ids[1:]]


def test_only_answers_are_learnt_and_plain_text_wholly(tokenizer):
    encoded = CAUSAL.encode(chat("x", ("How many?", "Three"), ("And now?", "Four")), tokenizer, Random(1))
    learnt = [token for token, label in zip(encoded.ids, encoded.labels, strict=True) if label != IGNORE]
    assert tokenizer.decode(learnt, skip_special_tokens=False) == "Three<|im_end|>Four<|im_end|>"
    assert all(label in (IGNORE, token) for token, label in zip(encoded.ids, encoded.labels, strict=True))
    text = CAUSAL.encode(plain("x", "All of it."), tokenizer, Random(1))
    assert text.labels == text.ids


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_segments_end_where_the_tokenizer_splits(tokenizer, family):
    for document in family_documents(family, "segments", 40):
        assert CAUSAL.encode(document, tokenizer, Random(1)).ids == tokenizer.encode(document.text).ids


def test_first_fit_fills_rows_and_drops_nothing_that_fits():
    sizes = iter([6, 5, 4, 3, 2, 9, *[11] * packing.PATIENCE])
    rows = first_fit((Encoded([1] * n, [1] * n) for n in sizes), rows=2, lengths=(10,))
    assert [[len(document.ids) for document in row] for row in rows] == [[6, 4], [5, 3, 2]]


def test_batches_are_a_pure_function_of_seed_and_step(tokenizer):
    one, two = (CorpusBatches(CAUSAL, tokenizer, "a", rows=4, length=256) for _ in range(2))
    one(0)
    assert torch.equal(one(7).ids, two(7).ids)
    assert not torch.equal(one(8).ids, one(7).ids)
    assert not torch.equal(CorpusBatches(CAUSAL, tokenizer, "b", rows=4, length=256)(8).ids, one(8).ids)
    assert one(0).ids.shape == (4, 256)
    assert one(3).ids.shape == (2, 512)


def test_families_have_their_shares_of_tokens(tokenizer):
    batches = CorpusBatches(CAUSAL, tokenizer, "shares", rows=16, length=256)
    rng = Random(5)
    counts = dict.fromkeys((family.name for family in FAMILIES), 0)
    for document, _ in zip(packing.documents(rng, batches.weights), range(6000), strict=False):
        counts[document.family] += len(tokenizer.encode(document.text).ids)
    for family in FAMILIES:
        assert 100 * counts[family.name] / sum(counts.values()) == pytest.approx(family.share, rel=0.2)


def test_repeated_strings_ask_for_the_second_half_only():
    batch = RepeatedStrings(CAUSAL, range(20, 100), "s", rows=3, length=12)(0)
    assert torch.equal(batch.ids[:, :6], batch.ids[:, 6:])
    assert (batch.labels[:, :5] == IGNORE).all() and (batch.labels[:, 11] == IGNORE).all()
    assert torch.equal(batch.labels[:, 5:11], batch.ids[:, 6:])
    assert batch.ids.min() >= 20

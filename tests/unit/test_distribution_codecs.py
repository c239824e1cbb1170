"""Codecs: what comes back of a distribution, how many bytes it takes, and what gradients it gives."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipestill.errors import UserError
from pipestill.losses import IGNORED
from pipestill.losses.divergences import token_divergence
from pipestill.losses.sparse import sparse_divergence
from pipestill.teacher.distributions.codecs import FIXED_POINT, make_codec
from pipestill.teacher.distributions.shard import join
from pipestill.teacher.distributions.tails import mean_tail

LARGE = 151_936  # Qwen2.5's
KEY = "5" * 64
MODELS = Path(__file__).parents[2] / "resources" / "models"
NAMES = ("demo-teacher", "demo-student")


def teacher(vocab, tokens=6, seed=0, scale=3.0):
    """Log-probabilities of random distributions."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(tokens, vocab, generator=generator) * scale).log_softmax(1)


def stored_bytes(codec, log_probs):
    """Bytes per token of one row, with the gold token's log-probability."""
    row = codec.encode(log_probs, KEY, 0)
    return sum(row[name].nbytes for name in codec.layout) / len(log_probs) + 4


@pytest.mark.parametrize("vocab", [400, 65_536, 65_537, LARGE])
@pytest.mark.parametrize("k", [1, 50, 300])
def test_topk_gives_back_ids_and_log_probs_within_its_precision(vocab, k):
    log_probs = teacher(vocab)
    log_probs[0, [3, vocab - 1]] = log_probs[0].max() + torch.tensor([1.0, 2.0])  # ids of the first and last plane
    log_probs = log_probs.log_softmax(1)
    codec = make_codec({"name": "topk", "k": k}, vocab)
    row = codec.encode(log_probs, KEY, 0)
    for name, array in codec.layout.items():
        assert row[name].dtype == np.dtype(array.dtype) and row[name].shape[1:] == array.width
    ids, decoded = map(torch.from_numpy, codec.decode(row))
    expected = log_probs.topk(k).indices.sort(1).values
    assert torch.equal(ids, expected)
    exact = log_probs.gather(1, expected)
    below = exact.amax(1, keepdim=True) - exact
    # Half a step of the quantised square root, and the rounding of two half-precision numbers.
    bound = 1.02 * torch.sqrt(below.clamp_min(below.amax(1, keepdim=True) / 255**2) * below.amax(1, keepdim=True)) / 255
    assert ((decoded - exact).abs() <= bound + 2e-3 * exact.abs()).all()
    assert np.array_equal(codec.top_ids(row, [len(log_probs)]), log_probs.argmax(1))
    if k > 1:
        tail = torch.from_numpy(row["tail"]).exp()
        torch.testing.assert_close(tail, 1 - exact.double().exp().sum(1).float(), rtol=1e-4, atol=2e-6)


def test_a_near_tie_keeps_its_winner():
    log_probs = torch.full((2, 100), -9.0)
    log_probs[0, [7, 8]] = torch.tensor([1.0, 1.0 + 1e-5])
    log_probs[1, [7, 8]] = torch.tensor([1.0 + 1e-5, 1.0])
    codec = make_codec({"name": "topk", "k": 5}, 100)
    assert codec.top_ids(codec.encode(log_probs.log_softmax(1), KEY, 0), [2]).tolist() == [8, 7]


def test_impossible_and_certain_tokens_are_stored():
    logits = torch.full((2, 100), -math.inf)
    logits[0, :3] = 0.0
    logits[1, 4] = 0.0
    codec = make_codec({"name": "topk", "k": 5}, 100)
    row = codec.encode(logits.log_softmax(1), KEY, 0)
    ids, log_probs = codec.decode(row)
    assert np.isfinite(log_probs).all() and np.isfinite(row["tail"]).all()
    probs = np.zeros((2, 100))
    np.put_along_axis(probs, ids, np.exp(log_probs), 1)
    assert np.allclose(probs, logits.softmax(1), atol=1e-3)
    assert np.allclose(np.exp(row["tail"]), 0)


def test_topk_of_everything_is_refused():
    with pytest.raises(UserError, match="fewer tokens than the vocabulary has, but k is 100 of 100: use `full`"):
        make_codec({"name": "topk", "k": 100}, 100)


def test_bytes_per_token_at_a_large_vocabulary():
    topk, sample = (make_codec(one, LARGE) for one in ({"name": "topk", "k": 50}, {"name": "sample", "draws": 50}))
    assert stored_bytes(topk, teacher(LARGE)) == 164
    log_probs = teacher(LARGE, 40, scale=5.0)
    entropy = float(torch.special.entr(log_probs.exp()).sum(1).mean())
    assert 3.4 < entropy < 3.6  # nats; of a large model's text it is about 2, and the lower, the fewer bytes
    assert stored_bytes(sample, log_probs) <= 80


@pytest.mark.parametrize("vocab", [400, LARGE])
@pytest.mark.parametrize("draws", [7, 50])
def test_systematic_draws_miss_their_expectation_by_less_than_one(vocab, draws):
    log_probs = teacher(vocab)
    codec = make_codec({"name": "sample", "draws": draws}, vocab)
    ids, shares, offsets = codec.decode(codec.encode(log_probs, KEY, 0))
    counts = np.zeros((len(log_probs), vocab))
    for token in range(len(log_probs)):
        entries = slice(*offsets[token : token + 2])
        assert (np.diff(ids[entries]) > 0).all()
        counts[token, ids[entries]] = shares[entries] * draws
    assert np.allclose(counts.sum(1), draws, atol=1e-4)
    assert np.abs(counts - draws * log_probs.double().exp().numpy()).max() < 1 + 1e-5


def test_draws_have_no_bias_and_depend_on_the_key_and_the_place_alone():
    log_probs = teacher(30, 1)
    codec = make_codec({"name": "sample", "draws": 5}, 30)

    def counts(key, start=0):
        ids, shares, _ = codec.decode(codec.encode(log_probs, key, start))
        return np.bincount(ids, weights=shares, minlength=30)

    keys = [f"{number:064x}" for number in range(3000)]
    mean = np.mean([counts(key) for key in keys], axis=0)
    probs = log_probs.exp()[0].numpy()
    error = np.sqrt(0.25 / 25 / len(keys))  # of a mean of counts that are off by less than one of five
    assert np.abs(mean - probs).max() < 5 * error
    assert np.array_equal(counts(KEY), counts(KEY))
    assert any(not np.array_equal(counts(KEY), counts(KEY, start)) for start in range(1, 9))


def test_an_impossible_token_is_never_drawn():
    logits = torch.zeros(3, 40)
    logits[:, [0, 20, 39]] = -math.inf
    codec = make_codec({"name": "sample", "draws": 400}, 40)
    row = codec.encode(logits.log_softmax(1), KEY, 0)
    assert set(codec.decode(row)[0].tolist()) == set(range(40)) - {0, 20, 39}
    assert np.allclose(row["entropy"], math.log(37))


def test_rows_that_are_joined_come_back_as_they_were():
    for description in ({"name": "topk", "k": 4}, {"name": "sample", "draws": 9}, {"name": "full"}):
        codec = make_codec(description, 70_000)
        pieces = [teacher(70_000, tokens, seed=tokens) for tokens in (2, 1, 3)]
        joined = join([codec.encode(piece, KEY, 0) for piece in pieces])
        single = [codec.columns(codec.encode(piece, KEY, 0)) for piece in pieces]
        for name, values in codec.columns(joined).items():
            assert np.array_equal(values, np.concatenate([one[name] for one in single]))


@pytest.fixture(scope="module")
def answers():
    """Teacher's and student's logits and the student's hidden states at tokens of answers: the demo's base models."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pipestill.pretraining.corpus.mixture import family_documents

    tokenizer = AutoTokenizer.from_pretrained(MODELS / "tokenizer")
    models = [AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32) for name in NAMES]
    found = [], [], []
    for document in family_documents("instructions", "fidelity", 60):
        encoded = [(tokenizer.encode(text, add_special_tokens=False), learnt) for text, learnt in document.segments]
        ids = torch.tensor([index for part, _ in encoded for index in part])
        learnt = torch.tensor([learnt for part, learnt in encoded for _ in part])
        with torch.no_grad():
            teacher, student = (model(ids[None], output_hidden_states=True) for model in models)
        for values, kept in zip((teacher.logits, student.logits, student.hidden_states[-1]), found, strict=True):
            kept.append(values[0, :-1][learnt[1:]])
    return [torch.cat(parts) for parts in found]


def gradients(answers, description, kind, tail, temperature=2.0, held_out=400):
    """Gradients of the student's head, [vocab, hidden]: exact, and from what is stored."""
    teacher, student, hidden = answers
    log_probs = (teacher / temperature).log_softmax(1)
    codec, prior = make_codec(description, teacher.shape[1]), None
    if tail == "unigram":
        prior = torch.from_numpy(mean_tail([codec.tail_sums(log_probs[held_out:])]))
    target = codec.target(codec.encode(log_probs[:held_out], KEY, 0), [held_out], temperature, prior, "cpu")

    def by_head(loss):
        logits = student[:held_out].clone().requires_grad_(True)
        loss(logits).sum().backward()
        return logits.grad.T @ hidden[:held_out]

    exact = by_head(lambda z: token_divergence(kind, z, teacher[:held_out], temperature=temperature))
    return exact, by_head(lambda z: sparse_divergence(kind, z, target, temperature=temperature))


def angle(one, other):
    """In degrees."""
    cosine = float((one.double() * other.double()).sum() / one.double().norm() / other.double().norm())
    return math.degrees(math.acos(min(1.0, cosine)))


@pytest.mark.parametrize(
    ("description", "kind", "tail", "limit"),
    [
        ({"name": "full"}, "fkl", None, 0.01),
        ({"name": "full"}, "todi", None, 0.01),
        ({"name": "topk", "k": 12}, "fkl", "bucket", 20),
        ({"name": "topk", "k": 50}, "fkl", "bucket", 15),
        ({"name": "topk", "k": 50}, "fkl", "unigram", 8),
        ({"name": "topk", "k": 50}, "rkl", "unigram", 12),
        ({"name": "topk", "k": 50}, "jsd", "unigram", 8),
        ({"name": "topk", "k": 50}, "todi", "unigram", 12),
        ({"name": "sample", "draws": 50}, "fkl", None, 15),
    ],
)
def test_gradients_point_where_exact_ones_do(answers, description, kind, tail, limit):
    exact, stored = gradients(answers, description, kind, tail)
    assert angle(exact, stored) < limit
    assert 0.8 < float(stored.norm() / exact.norm()) < 1.2


@pytest.mark.parametrize("kind", ["rkl", "jsd", "todi", "akl"])
def test_tails_of_the_teachers_mean_shape_beat_one_bucket(answers, kind):
    """Why `unigram` is the default of these divergences."""
    angles = [angle(*gradients(answers, {"name": "topk", "k": 50}, kind, tail)) for tail in ("unigram", "bucket")]
    assert angles[0] < angles[1] / 1.5, angles


def test_quantisation_costs_less_than_a_degree(answers):
    exact = gradients(answers, {"name": "topk", "k": 1500}, "rkl", "bucket")
    assert angle(*exact) < 1


def test_sums_of_tails_are_those_of_the_dense_tails_in_any_order():
    log_probs = teacher(500, 9)
    codec = make_codec({"name": "topk", "k": 20}, 500)
    whole = codec.tail_sums(log_probs)
    tails = log_probs.double().exp().scatter(1, log_probs.topk(20).indices, 0.0).sum(0).numpy()
    assert np.allclose(whole / FIXED_POINT, tails, atol=1e-6)
    prior = np.exp(mean_tail([whole]))
    assert prior.min() > 0 and np.isclose(prior.sum(), 1) and np.allclose(prior, tails / tails.sum(), atol=1e-6)


def labels(**changes):
    """The codec of two labels, which are other tokens for the student than for the teacher."""
    whole = {"labels": ["Yes", "No"], "ids": [2, 3], "teacher_ids": [9, 4], "rest_bucket": True} | changes
    return make_codec({"name": "labels", **whole}, 40)


@pytest.mark.parametrize("rest", [False, True])
def test_labels_store_the_answers_first_token_alone(rest):
    log_probs, codec = teacher(40), labels(rest_bucket=rest)
    row = join([codec.encode(log_probs[:2], KEY, 0), codec.encode(log_probs[2:], KEY, 2)])
    assert np.array_equal(row["class_log_probs"], log_probs[:1, [9, 4]])
    assert ("rest" in row) == rest
    if rest:
        both = np.append(row["class_log_probs"][0], row["rest"])
        assert np.exp(both.astype("f8")).sum() == pytest.approx(1, abs=1e-6)
    rows, tokens = join([row, codec.encode(log_probs[1:], KEY, 0)]), [3, 2]
    target = codec.target(rows, tokens, 1.0, None, "cpu")
    assert (len(target), target.first.tolist(), target.ids.tolist()) == (5, [0, 3], [2, 3])
    best = [[2, 3][log_probs[token, [9, 4]].argmax()] for token in (0, 1)]
    assert codec.top_ids(rows, tokens).tolist() == [best[0], IGNORED, IGNORED, best[1], IGNORED]


def test_labels_that_begin_alike_are_refused():
    words = {"labels": ["Yes", "No", "Yeah"], "rest_bucket": False}
    for ids, teacher_ids in (([9, 4, 9], [1, 2, 3]), ([1, 2, 3], [9, 4, 9])):
        with pytest.raises(UserError, match="labels `Yes` and `Yeah` begin with the same token"):
            labels(ids=ids, teacher_ids=teacher_ids, **words)

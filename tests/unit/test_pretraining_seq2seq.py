"""What the T5 models learn from a document, and packed pairs against the same pairs alone."""

from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer

from pipestill.pretraining.architectures import ARCHITECTURES
from pipestill.pretraining.corpus.document import chat, plain
from pipestill.pretraining.corpus.mixture import FAMILIES, family_documents
from pipestill.pretraining.packing import CorpusBatches
from pipestill.pretraining.recipe import T5Shape
from pipestill.pretraining.seq2seq import CORRUPTED, SPAN, Pair, corrupt

SEQ2SEQ = ARCHITECTURES["seq2seq"]
MARKS = list(range(4, 20))
END = 2


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json"))


def put_back(pair: Pair) -> list[int]:
    """The text that a pair was made from: what the target has behind each mark in place of the mark."""
    assert pair.source[-1] == pair.target[-1] == END
    hidden: dict[int, list[int]] = {}
    for token in pair.target[:-1]:
        if token in MARKS:
            assert token not in hidden
            hidden[token] = []
        else:
            hidden[list(hidden)[-1]].append(token)
    assert list(hidden) == [token for token in pair.source if token in MARKS] == MARKS[: len(hidden)]
    return [part for token in pair.source[:-1] for part in hidden.get(token, [token])]


def test_hidden_spans_are_as_many_and_as_long_as_they_should_be():
    rng = Random(1)
    for n in (2, 3, 9, 40, 200, 300):
        ids = rng.choices(range(20, 1500), k=n)
        for _ in range(20):
            pair = corrupt(ids, MARKS, rng)
            assert put_back(pair) == ids
            spans = sum(token in MARKS for token in pair.source)
            hidden = len(pair.target) - 1 - spans
            assert hidden == max(1, round(CORRUPTED * n))
            assert spans == max(1, round(hidden / SPAN))
    ids = rng.choices(range(20, 1500), k=900)
    assert put_back(corrupt(ids, MARKS, rng)) == ids  # more spans than marks
    with pytest.raises(ValueError, match="too few"):
        corrupt([20], MARKS, rng)


def test_hidden_places_differ_from_draw_to_draw():
    ids = list(range(100, 160))
    starts = {corrupt(ids, MARKS, Random(seed)).target[1] for seed in range(40)}
    assert len(starts) > 10


def test_answers_are_asked_one_by_one_or_all_at_once(tokenizer):
    document = chat("x", ("How many?", "Three"), ("And now?", "Four"), ("Then?", "Five"))
    expected = {
        "How many?": "Three",
        "How many?\nThree\nAnd now?": "Four",
        "How many?\nThree\nAnd now?\nFour\nThen?": "Five",
        "How many?\n<extra_id_0>\nAnd now?\n<extra_id_1>\nThen?\n<extra_id_2>": (
            "<extra_id_0>Three<extra_id_1>Four<extra_id_2>Five"
        ),
    }
    seen = set()
    for seed in range(60):
        pair = SEQ2SEQ.encode(document, tokenizer, Random(seed))
        source, target = (tokenizer.decode(ids, skip_special_tokens=False) for ids in (pair.source, pair.target))
        question = source.removesuffix("<|im_end|>")
        assert target == expected[question] + "<|im_end|>"
        seen.add(question)
    assert seen == set(expected)


def test_a_single_question_is_what_fine_tuning_gives_to_the_encoder(tokenizer):
    from transformers import AutoTokenizer

    from pipestill.models.prompts import encode_answer, encode_source

    trained = AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "resources/models/tokenizer")
    pair = SEQ2SEQ.encode(chat("x", ("Summarize:\nA case.", "In brief.")), tokenizer, Random(1))
    assert pair.source == encode_source(trained, "Summarize:\nA case.")
    assert pair.target == encode_answer(trained, "In brief.")


def test_plain_text_loses_its_spans(tokenizer):
    pair = SEQ2SEQ.encode(plain("x", "All of it is learnt, a part at a time."), tokenizer, Random(1))
    assert tokenizer.decode(put_back(pair)) == "All of it is learnt, a part at a time."


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_every_document_becomes_a_pair_that_keeps_the_question(tokenizer, family):
    rng = Random(2)
    for document in family_documents(family, "pairs", 40):
        pair = SEQ2SEQ.encode(document, tokenizer, rng)
        assert pair.source[-1] == pair.target[-1] == END
        question = document.turns[0][0] if document.turns else ""
        assert tokenizer.decode(pair.source).startswith(question)


def test_packed_pairs_have_the_logits_that_they_have_alone():
    model = SEQ2SEQ.build(T5Shape(layers=2, hidden=32, heads=2, intermediate=48), 400, seed=3).eval()
    rng = Random(1)
    draw = lambda n: rng.choices(range(20, 400), k=n)  # noqa: E731
    pairs = [Pair([*draw(n), END], [*draw(m), END]) for n, m in ((9, 3), (14, 8), (5, 1), (11, 12))]
    batch = SEQ2SEQ.pack([pairs[:3], pairs[3:]], (40, 20))
    logits, targets = SEQ2SEQ.supervised_logits(model, batch)
    alone = [
        model(input_ids=torch.tensor([pair.source]), decoder_input_ids=torch.tensor([[0, *pair.target[:-1]]])).logits[0]
        for pair in pairs
    ]
    torch.testing.assert_close(logits, torch.cat(alone), atol=1e-4, rtol=1e-4)
    assert targets.tolist() == [token for pair in pairs for token in pair.target]
    assert batch.tokens == sum(len(pair.source) + len(pair.target) + 1 for pair in pairs)


def test_batches_fill_their_rows_with_long_documents_too(tokenizer):
    batches = CorpusBatches(SEQ2SEQ, tokenizer, "a", rows=8, length=256)
    short, long = batches(0), batches(3)
    assert (short.source.ids.shape, short.target.ids.shape) == ((8, 256), (8, 96))
    assert (long.source.ids.shape, long.target.ids.shape) == ((4, 512), (4, 192))
    assert short.tokens > 0.6 * 8 * (256 + 96)
    assert batches(3).content() == CorpusBatches(SEQ2SEQ, tokenizer, "a", rows=8, length=256)(3).content()
    assert max(int(batches(step).source.positions.max()) for step in range(3, 20, 4)) >= 256


def test_one_row_holds_strings_to_be_copied(tokenizer):
    source, target = (
        getattr(CorpusBatches(SEQ2SEQ, tokenizer, "a", rows=2, length=256)(0), part) for part in ("source", "target")
    )
    owners = set(source.owners[-1].tolist()) - {-1}
    assert owners == set(target.owners[-1].tolist()) - {-1}
    for owner in owners:
        read = source.ids[-1][source.owners[-1] == owner]
        assert target.ids[-1][target.owners[-1] == owner].tolist() == [0, *read.tolist()]
        assert len(read) > 8

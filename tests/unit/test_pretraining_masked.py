"""What the BERT models learn from a document, and packed documents against the same documents alone."""

from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer

from pipestill.pretraining.architectures import ARCHITECTURES
from pipestill.pretraining.batch import IGNORE
from pipestill.pretraining.corpus.document import chat, plain
from pipestill.pretraining.corpus.mixture import family_documents
from pipestill.pretraining.masked import ANSWERS, CHOSEN, MASK_ID, MASKED, REPLACED, hide
from pipestill.pretraining.packing import CorpusBatches, Drills
from pipestill.pretraining.recipe import BertShape
from pipestill.pretraining.tokenizer import END

BERT = ARCHITECTURES["masked"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(Path(__file__).parents[2] / "resources/models/tokenizer/tokenizer.json"))


def test_shares_of_hidden_replaced_and_kept_tokens():
    rng = Random(1)
    masked = replaced = kept = 0
    for _ in range(300):
        ids = rng.choices(range(20, 1500), k=100)
        document = hide(ids, [1.0] * 100, rng)
        chosen = [place for place, label in enumerate(document.labels) if label != IGNORE]
        assert len(chosen) == round(CHOSEN * 100)
        assert all(document.labels[place] == ids[place] for place in chosen)
        assert all(document.ids[place] == ids[place] for place in set(range(100)) - set(chosen))
        masked += sum(document.ids[place] == MASK_ID for place in chosen)
        kept += sum(document.ids[place] == ids[place] for place in chosen)
        replaced += sum(document.ids[place] not in (MASK_ID, ids[place]) for place in chosen)
    total = masked + replaced + kept
    assert masked / total == pytest.approx(MASKED, abs=0.02)
    assert replaced / total == pytest.approx(REPLACED, abs=0.02)


def test_heavier_tokens_are_chosen_in_proportion():
    rng = Random(2)
    first = sum(hide([7, 8, 9], [3.0, 1.0, 1.0], rng).labels[0] == 7 for _ in range(4000))
    assert first / 4000 == pytest.approx(3 / 5, abs=0.03)


def test_the_mask_is_the_tokenizers(tokenizer):
    assert tokenizer.token_to_id("<|mask|>") == MASK_ID


def test_questions_and_answers_become_lines_and_answers_are_hidden_more_often(tokenizer):
    document = chat("x", ("The record has a long list of fields. How many?", "Three"), ("And now?", "Four"))
    answers = {tokenizer.encode(text).ids[0] for text in ("Three", "Four")}
    share = {True: [0, 0], False: [0, 0]}
    for seed in range(400):
        encoded = BERT.encode(document, tokenizer, Random(seed))
        ids = [i if label == IGNORE else label for i, label in zip(encoded.ids, encoded.labels, strict=True)]
        text = tokenizer.decode(ids, skip_special_tokens=False)
        assert text == "The record has a long list of fields. How many?\nThree\nAnd now?\nFour<|im_end|>"
        for token, label in zip(ids, encoded.labels, strict=True):
            counts = share[token in answers]
            counts[0] += label != IGNORE
            counts[1] += 1
    answer, rest = (chosen / total for chosen, total in (share[True], share[False]))
    assert 0.6 * ANSWERS < answer / rest < ANSWERS  # drawn without replacement, so a little less than by weight
    text = BERT.encode(plain("x", "All of it."), tokenizer, Random(1))
    assert any(label != IGNORE for label in text.labels)


def test_of_differences_the_answers_are_hidden_and_nothing_else(tokenizer):
    answers = set()
    for document in family_documents("differences", "hidden", 60, BERT.families):
        (question, _), (answer, _) = document.segments
        encoded = BERT.encode(document, tokenizer, Random(1))
        asked = tokenizer.encode(question).ids
        masks = len(tokenizer.encode(answer).ids)
        assert encoded.ids == [*asked, *[MASK_ID] * masks, END]
        assert tokenizer.decode([label for label in encoded.labels if label != IGNORE]) == answer
        answers.add(answer)
    assert answers > {" Yes", " No", " True", " False", " none"}


def test_the_first_layer_tells_what_stands_elsewhere_too():
    """Strings said twice, the second time with one other token: that token looks at the first place, others at their
    like."""
    model = BERT.build(BertShape(layers=2, hidden=128, heads=4, intermediate=32), 1536, seed=5).eval()
    model.bert.set_attn_implementation("eager")
    rng = Random(3)
    first, likes = [], []
    for _ in range(30):
        *string, other = rng.sample(range(20, 1500), 17)
        changed = rng.randrange(1, 16)
        again = [other if place == changed else token for place, token in enumerate(string)]
        ids = torch.tensor([string + again])
        seen = model.bert(input_ids=ids, output_attentions=True).attentions[0][0, 2:].mean(0)
        first.append([seen[16 + place, 0].item() for place in range(1, 16)])
        first[-1].insert(0, first[-1].pop(changed - 1))
        likes += [seen[16 + place, place].item() for place in range(1, 16) if place != changed]
    changed, kept = torch.tensor(first)[:, 0], torch.tensor(first)[:, 1:]
    assert changed.mean() > 3 * kept.mean() and sum(likes) / len(likes) > 0.5


def test_drills_are_strings_and_documents_of_its_own(tokenizer):
    drills = Drills(BERT, tokenizer, "a", rows=4, length=64)
    batch = drills(2)
    assert batch.content() == Drills(BERT, tokenizer, "a", rows=4, length=64)(2).content() != drills(3).content()
    strings, documents = batch.ids[:2], batch.ids[2:]
    assert (batch.owners[:2] == 0).all() and (batch.owners[2:].amax(1) > 0).all()
    same = (strings[:, :32] == strings[:, 32:]).float().mean()
    assert 0.6 < same < 0.85  # but for what is hidden
    assert " ?" in tokenizer.decode(documents[0].tolist()) or "question" in tokenizer.decode(documents[0].tolist())


def test_packed_documents_have_the_logits_that_they_have_alone():
    model = BERT.build(BertShape(layers=2, hidden=32, heads=2, intermediate=48), 1536, seed=3).eval()
    rng = Random(1)
    documents = [hide(rng.choices(range(20, 1500), k=n), [1.0] * n, rng) for n in (9, 14, 5, 11)]
    batch = BERT.pack([documents[:3], documents[3:]], (32,))
    logits, targets = BERT.supervised_logits(model, batch)
    alone, labels = [], []
    for document in documents:
        places = [place for place, label in enumerate(document.labels) if label != IGNORE]
        alone.append(model(input_ids=torch.tensor([document.ids])).logits[0, places])
        labels += [document.labels[place] for place in places]
    torch.testing.assert_close(logits, torch.cat(alone), atol=1e-4, rtol=1e-4)
    assert targets.tolist() == labels


def test_batches_are_a_pure_function_of_seed_and_step(tokenizer):
    one, two = (CorpusBatches(BERT, tokenizer, "a", rows=2, length=256) for _ in range(2))
    one(0)
    assert one(3).content() == two(3).content() != two(4).content()
    assert two(3).ids.shape == (1, 512)

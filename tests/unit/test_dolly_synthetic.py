"""The generator of instruction data: what its roles promise, and that its answers are right."""

import re
import statistics
from pathlib import Path

import pytest

from pipestill.models.prompts import encode_answer, encode_prompt
from pipestill.pretraining.corpus.mixture import family_documents
from pipestill.tasks import lexicon
from pipestill.tasks.dolly import DOLLY, PLAIN
from pipestill.tasks.dolly.synthetic import ASKED, generate
from pipestill.tasks.toy_world import people

ROOT = Path(__file__).parents[2]
TEST_SETS = DOLLY.layout.names
SIZES = {"train": 3000, **dict.fromkeys(TEST_SETS, 200)}
KIND_OF = {word: kind for kind, words in lexicon.KINDS.items() for word in words}


@pytest.fixture(scope="module")
def data():
    return generate(SIZES, seed=5)[0]


def of_skill(data, name, roles=SIZES):
    found = [row for role in roles for row in data[role] if row["skill"] == name]
    assert len(found) > 20
    return found


def first_answer(row):
    return row["output"] if isinstance(row["output"], str) else row["output"][0]


def pattern(wording):
    """What a wording can become."""
    return re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(wording)))


def wordings(role):
    return {wording for _, texts in ASKED[role] for wording in texts}


def test_rows_depend_on_the_seed_alone(data):
    assert generate(SIZES, seed=5)[0] == data
    assert generate(SIZES, seed=6)[0]["dolly"] != data["dolly"]
    fewer, _ = generate({**SIZES, "train": 100}, seed=5)
    assert all(fewer[name] == data[name] for name in TEST_SETS)
    alone, _ = generate({"train": 100, "vicuna": 50}, seed=5)
    assert alone["vicuna"] == data["vicuna"][:50]


def test_every_role_has_its_rows_and_no_question_comes_twice(data):
    assert {role: len(rows) for role, rows in data.items()} == SIZES
    questions = [(row["instruction"], row["input"]) for rows in data.values() for row in rows]
    assert len(set(questions)) == len(questions)


def test_training_rows_are_of_many_skills_and_the_manifest_counts_them(data):
    _, facts = generate(SIZES, seed=5)
    counts = facts["rows_by_skill"]["train"]
    assert sum(counts.values()) == SIZES["train"]
    assert len(counts) >= 11
    assert min(counts.values()) > 0.5 * SIZES["train"] / len(counts)
    assert counts["extract"] == len([row for row in data["train"] if row["skill"] == "extract"])


def test_the_paraphrased_set_has_wordings_that_no_training_row_has(data):
    assert not wordings("selfinst") & wordings("train")
    trained = [pattern(wording) for wording in wordings("train")]
    for row in data["selfinst"]:
        assert not [regex for regex in trained if regex.fullmatch(row["instruction"])], row["instruction"]
    for row in data["dolly"]:
        assert [regex for regex in trained if regex.fullmatch(row["instruction"])], row["instruction"]


def test_the_open_set_has_longer_answers_and_the_mixed_set_unseen_combinations(data):
    def words(role, skill):
        return [len(first_answer(row).split()) for row in data[role] if row["skill"] == skill]

    for skill in ("portrait", "contrast", "plan", "story"):
        assert min(words("vicuna", f"long {skill}")) > max(words("train", skill))
    assert {row["skill"] for row in data["vicuna"]} == {f"long {s}" for s in ("portrait", "contrast", "plan", "story")}
    trained = {row["skill"] for row in data["train"]}
    unseen = {row["skill"] for row in data["uinst"]}
    assert len(unseen) >= 4 and not unseen & trained
    halves = {half for skill in trained for half in skill.split(", ")}
    assert {half for skill in unseen for half in skill.split(", ")} - {"city first"} <= halves


def test_several_references_are_different_answers(data):
    assert all(isinstance(row["output"], list) for row in data["sinst"])
    assert all(isinstance(row["output"], str) for role in SIZES if role != "sinst" for row in data[role])
    assert all(len(set(row["output"])) == len(row["output"]) for row in data["sinst"])
    assert statistics.mean(len(row["output"]) > 1 for row in data["sinst"]) > 0.9
    assert all(DOLLY.parse(row).target == first_answer(row) for rows in data.values() for row in rows)


def test_rows_are_short(data):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "resources" / "models" / "tokenizer")
    totals = []
    for role, rows in data.items():
        for row in rows[:200]:
            answer = len(encode_answer(tokenizer, first_answer(row)))
            prompt = len(encode_prompt(tokenizer, PLAIN.fill(row)))
            assert answer < DOLLY.answers.max_new_tokens and prompt + answer < 150, (role, row)
            totals.append(prompt + answer)
    assert statistics.mean(totals) < 70


def test_no_question_is_in_the_pre_training_corpus(data):
    questions = {PLAIN.fill(row) for rows in data.values() for row in rows}
    for family in ("instructions", "facts", "numbers", "repeat"):
        for document in family_documents(family, "test", 2000):
            asked = re.findall(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", document.text, re.S)
            assert not questions & set(asked)


def test_prices_are_compared_rightly(data):
    for row in of_skill(data, "prices"):
        paid = re.findall(r"(\w+) paid ([\d.]+) for (\w+)\.", row["input"])
        more = " more" in row["instruction"]
        assert more or " less" in row["instruction"]
        who, price, thing = (max if more else min)(paid, key=lambda found: float(found[1]))
        assert first_answer(row) == f"{who} paid {'more' if more else 'less'}, {price} for {thing}."


@pytest.mark.parametrize("skill", ["members", "count", "members, numbered", "members, then", "members, backwards"])
def test_members_of_a_kind_are_all_found(data, skill):
    for row in of_skill(data, skill):
        kind = next(kind for kind in lexicon.KINDS if re.search(rf"\b{kind}s?\b", row["instruction"]))
        wanted = [word for word in re.findall(r"\w+", row["input"]) if KIND_OF.get(word) == kind]
        answer = first_answer(row)
        named = [word for word in re.findall(r"[a-z]+", answer) if word in KIND_OF]
        assert named == (wanted[::-1] if skill.endswith("backwards") else wanted)
        if skill == "count":
            assert answer.split(":")[0] == lexicon.NUMBER_WORDS[len(wanted)]


@pytest.mark.parametrize("skill", ["order", "order, numbered", "order, backwards", "order, then"])
def test_orders_are_right(data, skill):
    calendar = {word: place for words in (lexicon.DAYS, lexicon.MONTHS) for place, word in enumerate(words)}
    places = calendar | {word: place for place, word in enumerate(lexicon.NUMBER_WORDS)}
    for row in of_skill(data, skill):
        words = sorted(row["input"].split(", "), key=places.__getitem__)
        named = [word for word in re.findall(r"[A-Za-z]+", first_answer(row)) if word in places]
        assert named == (words[::-1] if skill.endswith("backwards") else words)


def test_answers_from_a_passage_are_in_it(data):
    for row in of_skill(data, "extract"):
        thing, city = first_answer(row).split(" in ")
        who = next(name for name in lexicon.FIRST_NAMES if re.search(rf"\b{name}\b", row["instruction"]))
        sentence = next(part for part in row["input"].split(". ") if re.search(rf"\b{who}\b", part))
        assert thing in sentence and city in sentence
    for row in of_skill(data, "check"):
        city = next(
            city for city in lexicon.CITIES if f"{city}?" in row["instruction"] or f"{city}." in row["instruction"]
        )
        who = next(name for name in lexicon.FIRST_NAMES if re.search(rf"\b{name}\b", row["instruction"]))
        sentence = next(part for part in row["input"].split(". ") if re.search(rf"\b{who}\b", part))
        assert first_answer(row).startswith("Yes, " if city in sentence else "No, ")


def test_facts_are_those_of_the_toy_world(data):
    words = {"lives in": "city", "is a": "job", "has a": "pet", "likes": "fruit", "wears": "colour"}
    for skill in ("portrait", "long portrait", "contrast", "long contrast"):
        for row in of_skill(data, skill):
            said = re.findall(rf"(\w+) ({'|'.join(words)}) (\w+)", first_answer(row))
            asked = re.findall(r"city|job|pet|fruit|colour", row["instruction"].split(":")[1])
            assert len(said) == len(asked) * (2 if "contrast" in skill else 1)
            for name, verb, value in said:
                assert people()[name][words[verb]] == value
                assert words[verb] in asked


def test_words_are_translated_and_opposed(data):
    for row in of_skill(data, "translate"):
        assert first_answer(row).split(", ") == [lexicon.TRANSLATIONS[word] for word in row["input"].split(", ")]
    both = {**lexicon.OPPOSITES, **{other: word for word, other in lexicon.OPPOSITES.items()}}
    for row in of_skill(data, "opposite"):
        pairs = zip(row["input"].rstrip(".").split(), first_answer(row).rstrip(".").split(), strict=True)
        assert [both[word] == answer for word, answer in pairs if word != answer] == [True, True]


def test_the_odd_word_is_of_another_kind(data):
    for row in of_skill(data, "odd"):
        word, others = re.fullmatch(r"(\w+), because the others are (\w+)s", first_answer(row)).groups()
        assert [w for w in row["input"].split(", ") if KIND_OF[w] != others] == [word]

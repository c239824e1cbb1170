"""The generator of business papers: what its test sets promise, and that its gold objects are right."""

import json
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from pipestill.errors import UserError
from pipestill.layouts.example import BadRow
from pipestill.schemas.schema import Schema
from pipestill.tasks import TASKS, lexicon
from pipestill.tasks.idp import SCHEMA, parse
from pipestill.tasks.idp.facts import Facts, Item
from pipestill.tasks.idp.noise import scanned
from pipestill.tasks.idp.papers import READ, UNREAD, written
from pipestill.tasks.idp.synthetic import generate
from pipestill.tasks.idp.writing import DATES, NUMBERS, Hand
from support.layout_runs import prepare, prompted

ROOT = Path(__file__).parents[2]
SIZES = {"train": 1200, "known": 300, "unseen": 300}
GOLD = {
    **{"kind": "invoice", "number": "INV1", "date": "2025-10-01", "vendor": "Bar LLC", "buyer": None},
    **{"currency": "USD", "total": 50, "items": []},
}


@pytest.fixture(scope="module")
def data():
    return generate(SIZES, seed=5)[0]


def blurred(text):
    """A text in which characters that are confused are one."""
    text = text.replace("rn", "m")
    return text.translate(str.maketrans("OolSe8", "0015cB"))


def test_rows_depend_on_the_seed_alone(data):
    assert generate(SIZES, seed=5)[0] == data
    assert generate(SIZES, seed=6)[0]["known"] != data["known"]
    fewer = generate({**SIZES, "train": 100}, seed=5)[0]
    assert {role: fewer[role] for role in ("known", "unseen")} == {role: data[role] for role in ("known", "unseen")}


def test_no_document_is_there_twice(data):
    documents = [row["document"] for rows in data.values() for row in rows]
    assert len(set(documents)) == len(documents) == sum(SIZES.values())


def test_unseen_papers_have_other_layouts_than_training_and_known_ones():
    rows, facts = generate(SIZES, seed=5)
    known, unseen = {paper.name for paper in READ}, {paper.name for paper in UNREAD}
    assert len(known) >= 6 and len(unseen) >= 2 and not known & unseen
    assert {role: {row["layout"] for row in rows[role]} for role in SIZES} == {
        **{"train": known, "known": known},
        "unseen": unseen,
    }
    assert facts["rows_by_layout"]["known"] == dict.fromkeys(sorted(known), 50)
    assert not {paper.item for paper in READ} & {paper.item for paper in UNREAD}


def test_gold_objects_are_valid_and_their_totals_are_sums(data):
    schema = Schema.read(ROOT / SCHEMA)
    for rows in data.values():
        for row in rows:
            assert schema.validate(row["json"]) == []
            items = row["json"]["items"]
            amounts = [item["quantity"] * Decimal(str(item["price"])) for item in items]
            assert not items or sum(amounts) == Decimal(str(row["json"]["total"]))
    assert 0.05 < sum(not row["json"]["items"] for row in data["train"]) / SIZES["train"] < 0.2
    assert {row["json"]["currency"] for row in data["train"]} == {"USD", "EUR", "GBP", "CHF", "JPY"}
    assert {row["json"]["kind"] for row in data["train"]} == {"invoice", "receipt", "order"}


def test_what_gold_objects_say_stands_in_their_documents(data):
    counts, rows = Counter(), [row for role in SIZES for row in data[role]]
    for row in rows:
        gold, text = row["json"], row["document"]
        assert gold["number"] is None or gold["number"] in text
        names = [gold["vendor"], gold["buyer"] or gold["vendor"], *(item["product"] for item in gold["items"])]
        assert all(blurred(name) in blurred(text) for name in names)
        counts["scanned"] += not all(name in text for name in names)
        counts.update(name for name in ("number", "date", "buyer") if gold[name] is None)
    assert 0.02 < counts["scanned"] / len(rows) < 0.2
    assert all(0.03 < counts[name] / len(rows) < 0.4 for name in ("number", "date", "buyer"))


def test_a_paper_says_what_it_says_once():
    facts = Facts(
        "order", "A1", date(2024, 3, 9), "Bar LLC", None, "EUR", (Item("pens", 3, Decimal("1250.50")),), Decimal(1)
    )
    hand = Hand("dots", "point", "{code} {number}", "EUR")
    for paper in (*READ, *UNREAD):
        text = paper.joiner.join(written(Random(1), paper, facts, hand))
        for part in ("A1", "09.03.2024", "Bar LLC", "EUR 3.751,50", "1.250,50", "pens"):
            assert text.count(part) == 1, (paper.name, part)
        assert re.search("order", text, re.I) and "None" not in text and "{" not in text


def test_a_paper_without_items_has_no_line_for_them():
    facts = Facts("invoice", "INV1", date(2025, 10, 1), "Bar LLC", None, "USD", (), Decimal(50))
    for paper in (*READ, *UNREAD):
        text = paper.joiner.join(written(Random(1), paper, facts, Hand("iso", "plain", "{code} {number}", "USD")))
        assert "USD 50.00" in text and "Item" not in text and "None" not in text and "for :" not in text
    assert facts.gold()["total"] == 50 and facts.gold()["items"] == []


def test_dates_and_numbers_are_written_in_many_ways():
    written = {way(date(2024, 3, 9)) for way in DATES.values()}
    assert written == {"2024-03-09", "09.03.2024", "9/03/2024", "9 March 2024", "March 9, 2024"}
    amounts = {Hand("iso", way, "", "EUR").amount(Decimal("1234.5")) for way in NUMBERS}
    assert amounts == {"1234.50", "1,234.50", "1.234,50", "1 234,50", "1'234.50"}
    assert Hand("iso", "comma", "{sign}{number}", "JPY").sum(Decimal(12340)) == "¥12,340"


def test_numbers_of_papers_are_never_confused():
    rng = Random(3)
    texts = [scanned(rng, "Invoice 1050 of 10.50, no. 1050", "1050") for _ in range(300)]
    assert all(text.count("1050") == 2 for text in texts)
    assert 20 < sum(text != "Invoice 1050 of 10.50, no. 1050" for text in texts) < 120


def test_there_are_only_so_many_papers(monkeypatch):
    monkeypatch.setattr("pipestill.tasks.idp.synthetic.TRIES", 3)
    monkeypatch.setattr("pipestill.tasks.idp.synthetic.scanned", lambda *_: "always the same")
    with pytest.raises(UserError, match="there are not 9 different papers for `known`: ask for at most 1"):
        generate({"train": 9, "known": 9, "unseen": 9}, seed=1)


def test_papers_fit_the_small_models(data):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "resources/models/demo-student/tokenizer.json"))
    task = TASKS["idp"]
    for rows in data.values():
        for row in rows:
            example = task.parse(row)
            prompt = task.prompts["answer"].fill(example.inputs)
            assert len(tokenizer.encode(prompt).ids) < 185
            assert len(tokenizer.encode(example.target).ids) < 160


def test_records_have_layouts_as_parts_of_their_test_sets(tmp_path):
    keys = {"rows": 60, "test_rows": 12, "seed": 1, "splits": {"val_rows": 10, "teacher_share": 0.5}}
    records, manifest = prepare(TASKS["idp"], tmp_path, **keys)
    tested = [record for record in records if record.split == "test"]
    assert Counter(record.test_set for record in tested) == {"known": 12, "unseen": 12}
    assert {record.subset for record in tested} == {paper.name for paper in (*READ, *UNREAD)}
    assert all(not reading["bad_rows"] for reading in manifest["files"].values())
    cropped, _ = prompted(TASKS["idp"], records, **keys)
    assert cropped[0].prompt.startswith("Extract the fields as JSON.\n")


def test_a_row_may_hold_an_object_or_its_text_in_any_spelling():
    given = {**dict(reversed(GOLD.items())), "total": 50.0}
    for value in (given, json.dumps(given), json.dumps(given, indent=4).replace("50.0", "5.0e1")):
        example = parse({"document": " Invoice #INV1 \n", "json": value})
        assert example.inputs == {"document": "Invoice #INV1"}
        assert example.target == json.dumps(GOLD)
        assert example.subset is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"document": " "}, "`document` is empty"),
        ({"document": ["a"]}, "`document` is not text"),
        ({"layout": 3}, "`layout` is not text"),
        ({"json": "{"}, r"`json` is not JSON \(Expecting property name"),
        ({"json": '{"a": 1, "a": 2}'}, "the key `a` twice"),
        ({"json": {**GOLD, "total": "50"}}, r"`json` is not valid by the schema, #/total: `type`"),
        ({"json": {**GOLD, "date": "2025-02-30"}}, "#/date: `format`"),
        ({"json": {**GOLD, "total": 0.001}}, "#/total: `multipleOf`"),
        ({"json": []}, "`type`"),
        ({"json": None}, "`type`"),
    ],
)
def test_a_row_that_is_none_is_set_aside(row, reason):
    with pytest.raises(BadRow, match=reason):
        parse({"document": "Invoice", "json": GOLD, **row})


def test_words_of_papers_are_those_of_the_lexicon(data):
    vendors = {row["json"]["vendor"].split()[0] for row in data["train"]}
    assert vendors <= set(lexicon.COMPANY_STEMS)

"""Fields of JSON, counted by hand."""

import json
from collections import Counter

import numpy as np
import pytest

from pipestill.metrics.catalogue import CATALOGUE
from pipestill.metrics.field_sums import field_f1, share
from pipestill.metrics.json_fields import compare
from pipestill.metrics.json_values import equal, same

GOLD = {
    "kind": "order",
    "number": None,
    "date": "2025-10-01",
    "total": 50,
    "items": [{"product": "pens", "price": 1.5}, {"product": "keys", "price": 2}],
}


def against(answer, gold=GOLD):
    return compare(json.dumps(answer), [json.dumps(gold)])


def test_the_gold_object_is_right_in_every_field():
    fields = against(GOLD)
    assert fields.exact and fields.parsed and fields.f1 == 1
    assert fields.right == {"kind": 1, "date": 1, "total": 1, "items[].product": 2, "items[].price": 2}
    assert fields.sums == (7, 7, 7)


@pytest.mark.parametrize(
    ("change", "sums"),
    [
        ({"kind": "receipt"}, (6, 7, 7)),  # wrong
        ({"kind": None}, (6, 6, 7)),  # missing
        ({"number": "A1"}, (7, 8, 7)),  # invented
        ({"total": "50"}, (6, 7, 7)),  # of the wrong type
        ({"total": 50.0}, (7, 7, 7)),  # the same number
        ({"total": True}, (6, 7, 7)),
        ({"total": [50]}, (6, 7, 7)),  # a list in place of a number
        ({"items": "pens"}, (3, 4, 7)),  # a text in place of a list
        ({"items": []}, (3, 3, 7)),
        ({"items": None}, (3, 3, 7)),
        ({"items": {"product": "pens"}}, (3, 4, 7)),
        ({"colour": "red"}, (7, 8, 7)),  # a key that nobody asked for
        ({"items": GOLD["items"][::-1]}, (7, 7, 7)),  # in another order
        ({"items": GOLD["items"] + GOLD["items"][:1]}, (7, 9, 7)),  # one of them twice
        ({"items": [{"product": "keys", "price": 1.5}]}, (4, 5, 7)),  # one field of each: one item is paired
    ],
)
def test_counts_by_hand(change, sums):
    fields = against({**GOLD, **change})
    assert fields.sums == sums
    assert fields.f1 == pytest.approx(2 * sums[0] / (sums[1] + sums[2]))
    assert fields.exact == (change == {"total": 50.0})


def test_a_key_that_is_not_there_says_what_null_says_but_is_another_object():
    fields = against({key: value for key, value in GOLD.items() if key != "number"})
    assert fields.sums == (7, 7, 7)
    assert not fields.exact


def test_items_are_paired_for_the_most_right_fields():
    gold = [{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}]
    crossed = [{"a": 1, "b": 2, "c": 2}, {"a": 1, "b": 1, "c": 2}]  # in order 1 + 1 right, crossed 2 + 2
    assert against(crossed, gold).right == {"[].a": 1, "[].b": 2, "[].c": 1}
    assert against([2, 1, 1], [1, 1, 3]).sums == (2, 3, 3)
    assert against([[1, 2], [3]], [[3], [2, 1]]).right == {"[][]": 3}


def test_equal_pairings_are_in_order():
    gold = [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    assert against([{"a": 2, "b": 1}, {"a": 1, "b": 2}], gold).right == {"[].b": 2}


@pytest.mark.parametrize("text", ["", "pens", '{"kind": "order"', '{"a": 1, "a": 1}', '{"total": NaN}', '{"a": 1} {}'])
def test_what_is_no_json_finds_nothing(text):
    fields = compare(text, [json.dumps(GOLD)])
    assert fields.sums == (0, 0, 7)
    assert fields.f1 == 0 and not fields.parsed and not fields.exact


def test_other_json_than_an_object_finds_its_leaves():
    assert against(5).sums == (0, 1, 7)
    assert against(5, 5.0).sums == (1, 1, 1)
    assert against(None).sums == (0, 0, 7)


def test_nothing_to_find_and_nothing_found_is_right():
    assert against({}, {"number": None}).f1 == 1
    assert against({"number": "A"}, {}).f1 == 0


def test_the_best_reference_counts():
    answer, gold = '{"a": 1, "b": 2}', ['{"a": 1}', '{"a": 1, "b": 2}', '{"a": 1, "b": 2.0}']
    assert compare(answer, gold).sums == (2, 2, 2)
    assert compare('{"c": 1}', gold).expected == Counter(a=1)


@pytest.mark.parametrize(
    ("one", "other", "equals"),
    [
        (1, 1.0, True),
        (0.1, 0.10, True),
        (10**20, 1e20, True),
        (1, "1.0", False),
        ("1", "1.0", False),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        (None, None, True),
        ("", None, False),
        ("Bar  LLC ", "Bar LLC", True),
        ("Bar LLC", "bar llc", False),
        ("e\u0301te\u0301", "été", True),
        ("a\u200bb", "ab", True),
        ("2025-10-01", "2025-10-01", True),
        ("2025-10-01", "20251001", False),
        ("2025-10-01", "2025-10-01T00:00:00", False),
        ("2025-10-01T10:00:00Z", "2025-10-01t12:00:00+02:00", True),
        ("2025-10-01T10:00Z", "2025-10-01T10:00:00.0+00:00", True),
        ("2025-10-01T10:00", "2025-10-01T10:00Z", False),
        ("2025-99-01T10:00", "2025-99-01T10:00", True),
        ([], [], False),  # no leaves
    ],
)
def test_leaves(one, other, equals):
    assert same(one, other) is equals is same(other, one)


def test_equal_values_have_the_same_keys_and_order():
    assert equal({"a": [1, {"b": None}], "c": "x"}, {"c": "x", "a": [1.0, {"b": None}]})
    for other in ({"a": [2, 1]}, {"a": [1]}, {"a": {}}, {}, [], None):
        assert not equal({"a": [1, 2]}, other)
    assert equal([], []) and equal({}, {}) and not equal([], {})


def test_metrics_of_sums():
    sums = np.array([[3, 4, 6], [0, 0, 0], [0, 5, 0]])
    assert field_f1(sums) == pytest.approx([0.6, 1, 0])
    assert share(sums[:, [0, 1]]) == pytest.approx([0.75, 0, 0])
    assert CATALOGUE["field_f1"].corpus(sums) == pytest.approx([0.6, 1, 0])
    assert CATALOGUE["field_recall"].corpus(sums[:, [0, 2]]) == pytest.approx([0.5, 0, 0])

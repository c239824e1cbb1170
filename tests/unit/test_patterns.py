"""Regular expressions of a configuration: a search ends, whatever the expression is."""

import pytest

from pipestill.annotation.checks import problem_with
from pipestill.errors import UserError
from pipestill.settings.annotation import StepConfig
from pipestill.settings.json_schema import check_json_schema, place_of_fault
from pipestill.text import patterns
from pipestill.text.patterns import check_pattern, occurs


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(.*?,){30}P", r"(a+)+$"])
def test_a_pattern_that_backtracks_without_end_is_refused(pattern):
    with pytest.raises(ValueError, match="takes for ever on some texts"):
        StepConfig(prompt="{document}", out="rationale", pattern=pattern)
    with pytest.raises(ValueError, match="takes for ever"):
        check_json_schema({"properties": {"a": {"pattern": pattern}}})
    with pytest.raises(ValueError, match="takes for ever"):
        check_json_schema({"patternProperties": {pattern: {}}})


@pytest.mark.parametrize(
    "pattern", [r"because", r"(?i)\bfindings?:\s+\w+", r"^(\d{1,3}\.)+ ", r"(?s)^\{.*\}$", r"(x|x)*y"]
)
def test_other_patterns_are_taken_and_end(pattern):
    check_pattern(pattern)
    assert not occurs(pattern, f"{'a' * 10_000}!")


def test_no_pattern():
    with pytest.raises(ValueError, match="is not a regular expression"):
        check_pattern("(" * 200)


def test_a_search_that_takes_too_long_ends_with_the_pattern(monkeypatch):
    monkeypatch.setattr(patterns, "LIMIT_S", 0.02)
    text = "b" * 5000 + "!"
    for search in (
        lambda: occurs(r"(b|bb)+$", text),
        lambda: place_of_fault([text], {"items": {"pattern": r"(b|bb)+$"}}),
    ):
        with pytest.raises(UserError, match=r"the pattern .*\(b\|bb\)\+\$.* was searched for 0.02 s in a text of 5001"):
            search()


def test_answers_are_searched(monkeypatch):
    step = StepConfig(prompt="{document}", out="rationale", pattern="because", min_chars=2)
    assert problem_with("it is so because", step, 99) is None
    assert problem_with("it is so", step, 99) == "the answer does not match `pattern`"
    step = StepConfig(prompt="{document}", out="rationale", json_schema={"properties": {"a": {"pattern": "^x"}}})
    assert problem_with('{"a": "xy"}', step, 99) is None
    assert problem_with('{"a": "y"}', step, 99) == "the answer does not fit `json_schema` at $.a"


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}])
def test_a_schema_that_refers_to_itself_at_once_is_refused(schema):
    with pytest.raises(ValueError, match="it refers to itself before it says anything"):
        check_json_schema(schema)

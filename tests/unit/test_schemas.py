"""JSON Schemas: which are followed, which are refused, and whether a value is valid, apart from the engine."""

from decimal import Decimal

import pytest

from pipestill.errors import UserError
from pipestill.schemas.formats import CHECKS, PATTERNS, has_format
from pipestill.schemas.schema import NotJson, Schema, parse
from support.schemas import FOLLOWED, REFUSED, an_object


@pytest.mark.parametrize("name", FOLLOWED)
def test_schemas_that_can_be_followed_are_accepted(name):
    schema = Schema.of(FOLLOWED[name], "s.json")
    assert schema == Schema.of(schema.text, "elsewhere")
    assert schema.content == FOLLOWED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_by_keyword_and_place(name):
    content, message = REFUSED[name]
    with pytest.raises(UserError, match=message) as refusal:
        Schema.of(content, "s.json")
    assert str(refusal.value).startswith("s.json") and "\n" not in str(refusal.value)


def test_a_schema_that_is_no_file(tmp_path):
    (tmp_path / "s.json").write_bytes(b'{"title": "\xff"}')
    for name in ("s.json", "missing.json"):
        with pytest.raises(UserError, match=f"{name}: the schema cannot be read"):
            Schema.read(tmp_path / name)


def test_options_of_the_engine_are_not_taken_from_a_schema():
    free = Schema.of({"type": "integer", "x-guidance": {"whitespace_flexible": True, "lenient": True}}, "s.json")
    assert free.grammar == Schema.of({"type": "integer"}, "s.json").grammar


VALID = {
    "date": ["2024-02-29", "0001-01-01", "2000-02-29"],
    "time": ["23:59:59Z", "00:00:00.25+05:30", "23:59:60z"],
    "date-time": ["2024-02-29T12:00:00Z", "1985-04-12t23:20:50.52-08:00"],
    "duration": ["P1Y2M3D", "PT5M", "P4W", "P1DT12H"],
    "email": ["a.b+c@example.org", "a@localhost"],
    "hostname": ["example.org", "a-b.c"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1", "fe80::1:2"],
    "uri": ["https://example.org:80/a?b=c#d", "urn:isbn:0451450523"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
}
INVALID = {
    "date": ["2023-02-29", "1900-02-29", "0000-01-01", "2024-2-1", "20240229", "2024-13-01", "2024-02-29 "],
    "time": ["24:00:00Z", "12:60:00Z", "12:00:00", "12:00Z", "12:00:60Z", "12:00:00+24:00"],
    "date-time": ["2023-02-29T12:00:00Z", "2024-02-29 12:00:00Z", "2024-02-29", "2024-02-29T12:00:00"],
    "duration": ["P", "PT", "P1W2D", "1D", "P1H", "PT1S2M"],
    "email": ["a", "@b.c", "a@", "a b@c.d", "a..b@c.d", "a@-b.c"],
    "hostname": ["", "-a", "a..b", "a_b", "x" * 64],
    "ipv4": ["256.0.0.1", "1.2.3", "01.2.3.4"],
    "ipv6": ["::1::", "12345::", "fe80::1%eth0"],
    "uri": ["example.org", "//a", "http://a b", "http://[", "http://a:99999/"],
    "uuid": ["123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_formats_are_checked(name):
    assert PATTERNS.keys() == CHECKS.keys() == VALID.keys() == INVALID.keys()
    schema = Schema.of({"type": "string", "format": name}, "s.json")
    assert all(has_format(text, name) and not schema.validate(text) for text in VALID[name])
    for text in INVALID[name]:
        assert not has_format(text, name), text
        assert schema.validate(text)[0].startswith("#: `format`")


def test_multiples_are_those_of_the_digits_that_are_written():
    schema = Schema.of({"type": "number", "multipleOf": 0.01}, "s.json")
    for text in ("0.07", "4.35", "1.1", "81.96", "1e2", "-3", "100000000000000.01"):
        assert not schema.validate(parse(text)), text
    assert not schema.validate(4.35)
    for text in ("0.015", "0.0100000000000000000001", "1e-3"):
        assert schema.validate(parse(text)), text


def test_numbers_are_valid_by_value():
    schema = Schema.of({"type": "integer", "enum": [1, 20]}, "s.json")
    assert not schema.validate(parse("1.0")) and not schema.validate(parse("2e1"))
    assert schema.validate(parse("1.5")) and schema.validate(True) and schema.validate("1")
    assert not Schema.of({"const": 0.1}, "s.json").validate(parse("0.10"))


def test_faults_name_keyword_and_place():
    properties = {"a/b": {"type": "array", "items": {"maximum": 3}}, "c": {}}
    schema = Schema.of(an_object(properties, "c", additionalProperties=False), "s.json")
    assert schema.validate({"a/b": [1, 5], "d": 1}) == [
        "#/a~1b/1: `maximum`: 5 is greater than the maximum of 3",
        '#: `additionalProperties`: the property "d" is not allowed',
        "#: `required`: 'c' is a required property",
    ]
    assert len(schema.validate({f"x{n}": 1 for n in range(99)})) <= 20


def test_a_value_in_one_spelling():
    schema = Schema.of({}, "s.json")
    assert schema.canonical(parse('{"b": [1.50, 1e3, -0.0, 1E-7, 12345678901234567890], "a": "é\\n"}')) == (
        '{"a":"é\\n","b":[1.5,1000,0,0.0000001,12345678901234567890]}'
    )
    assert schema.canonical({"b": 1, "a": None}) == schema.canonical({"a": None, "b": Decimal("1.00")})


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1, "a": 2}', "[NaN]", "{} {}", '"\\ud800"', "[" * 200 + "]" * 200, "1e999"]
)
def test_what_is_not_json(text):
    with pytest.raises(NotJson):
        parse(text)

"""Answers that follow a schema: always valid by another validator, whatever the model, the batch and the limit."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoTokenizer

from pipestill.errors import UserError
from pipestill.inference import cache
from pipestill.inference.constrained import batch
from pipestill.inference.constrained import constraint as constraints
from pipestill.inference.constrained.closing import in_string
from pipestill.inference.constrained.constraint import Constraint
from pipestill.inference.constrained.keys import repeats_key
from pipestill.inference.constrained.writing import Writing
from pipestill.inference.generation import generate, shared_length
from pipestill.schemas.schema import Schema, parse
from pipestill.settings.generation import GenerationConfig
from support.models import make_marian, make_model, make_t5, make_tokenizer
from support.schemas import FOLLOWED, an_object
from support.tokenizer_kinds import CHARS, gemma, gpt2, llama3, qwen, t5

TOKENIZER = make_tokenizer()
VOCABULARY = 500  # more than the tokenizer has
SAMPLED = GenerationConfig(sampling=True)
PROMPTS = [TOKENIZER.encode("Age: 23.0, " * times + "Good") for times in (1, 3, 2, 5, 1, 7, 2, 3)]
KEYS = [f"10/row {number}" for number in range(len(PROMPTS))]
INVOICE = an_object(
    {
        "number": {"type": "string", "minLength": 1, "maxLength": 8},
        "date": {"type": ["string", "null"], "format": "date"},
        "items": {
            "type": "array",
            "maxItems": 2,
            "items": an_object(
                {"name": {"type": "string", "maxLength": 5}, "price": {"type": "number", "multipleOf": 0.01}},
                *("name", "price"),
            ),
        },
        "currency": {"enum": ["EUR", "USD"]},
    },
    *("number", "date", "items", "currency"),
)
KINDS = {"qwen2": make_model, "t5": make_t5, "marian": partial(make_marian, max_position_embeddings=512)}


def make(kind="qwen2", dtype=torch.float64, **config):
    """A random model with more tokens than its tokenizer."""
    model = KINDS[kind](VOCABULARY, **config).to(dtype).eval()
    model.generation_config.eos_token_id = TOKENIZER.eos_token_id
    return model


QWEN2 = make()


def of(content, model=QWEN2, tokenizer=TOKENIZER):
    return Constraint.of(Schema.of(content, "s.json"), tokenizer, model)


def answers(model, constraint, prompts=PROMPTS, limit=400, **options):
    found = {}
    for each in generate(model, TOKENIZER, prompts, max_new_tokens=limit, constraint=constraint, **options):
        found |= dict(each)
    return [found[index] for index in range(len(prompts))]


def texts(*args, **options):
    return [answer.text for answer in answers(*args, **options)]


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_a_random_model_says_is_valid(name):
    constraint = of(FOLLOWED[name])
    said = texts(QWEN2, constraint, limit=160, decoding=SAMPLED, keys=KEYS)
    for text in said:
        assert not constraint.schema.validate(parse(text)), text
    if name not in ("const",):
        assert len(set(said)) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoding", [GenerationConfig(), SAMPLED, GenerationConfig(no_repeat_ngram_size=2)])
def test_forced_tokens_are_read_together_and_nothing_changes(kind, decoding, monkeypatch):
    model, calls = make(kind), []
    constraint = of(INVOICE, model)
    model.register_forward_hook(lambda *_: calls.append(1))
    together = answers(model, constraint, decoding=decoding, keys=KEYS)
    jumped = len(calls)
    monkeypatch.setattr(constraints, "write_batch", partial(batch.write_batch, jump=False))
    assert answers(model, constraint, decoding=decoding, keys=KEYS) == together
    assert jumped < (0.7 if kind == "qwen2" else 0.9) * (len(calls) - jumped)
    assert all(not constraint.schema.validate(parse(answer.text)) for answer in together)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_does_not_depend_on_those_beside_it(kind):
    model = make(kind)
    constraint = of(INVOICE, model)
    together = texts(model, constraint, decoding=SAMPLED, keys=KEYS)
    assert len(set(together)) == len(PROMPTS)
    alone = {"decoding": SAMPLED, "token_budget": 1, "keys": KEYS[:3]}
    assert texts(model, constraint, PROMPTS[:3], **alone) == together[:3]
    done = {0, 3, 5}
    resumed = {}
    for each in generate(
        model, TOKENIZER, PROMPTS, max_new_tokens=400, constraint=constraint, done=done, keys=KEYS, decoding=SAMPLED
    ):
        resumed |= dict(each)
    assert {index: answer.text for index, answer in resumed.items()} == {
        index: text for index, text in enumerate(together) if index not in done
    }


def test_greedy_tokens_are_the_likeliest_of_those_that_are_allowed():
    """Step by step and without a cache, with the masks of the engine alone."""
    constraint = of(INVOICE)
    for prompt, answer in zip(PROMPTS[:3], answers(QWEN2, constraint), strict=False):
        matcher, tokens = constraint.matcher(), []
        while not matcher.is_stopped():
            new = constraint.forced(matcher)
            if not new:
                with torch.no_grad():
                    scores = QWEN2(torch.tensor([prompt + tokens])).logits[0, -1]
                allowed = torch.from_numpy(constraint.allowed([matcher])[0])
                new = [int(scores.masked_fill(~allowed, -torch.inf).argmax())]
            assert matcher.consume_tokens(new)
            tokens += new
        assert constraint.text(tokens) == answer.text
        assert answer.tokens == len(tokens) + 1


def test_behind_a_prefix_that_is_read_once():
    prefix = TOKENIZER.encode("Outstanding Debt: 809.98, Occupation: Scientist, ")
    prompts = [prefix + prompt for prompt in PROMPTS]
    constraint = of(INVOICE)
    shared = shared_length(QWEN2, prompts)
    assert shared >= len(prefix)
    for decoding in (GenerationConfig(), SAMPLED, GenerationConfig(no_repeat_ngram_size=3)):
        whole = texts(QWEN2, constraint, prompts, decoding=decoding, keys=KEYS)
        assert texts(QWEN2, constraint, prompts, decoding=decoding, keys=KEYS, shared=shared) == whole


def test_a_cache_that_is_full_is_packed(monkeypatch):
    """Rows whose forced texts come at different steps need more columns than the longest answer has tokens."""
    forced = [letter * (1 + 10 * place) for place, letter in enumerate("abcdefgh")]
    content = {"type": "array", "items": {"enum": forced}, "minItems": 9, "maxItems": 9}
    model, constraint, packed = make(), of(content), []
    pack = cache.pack
    monkeypatch.setattr(cache, "pack", lambda *args: packed.append(pack(*args)))
    whole = texts(model, constraint, limit=330, decoding=SAMPLED, keys=KEYS)
    assert packed
    alone = texts(model, constraint, limit=330, decoding=SAMPLED, keys=KEYS, token_budget=1)
    assert whole == alone
    assert all(not constraint.schema.validate(parse(text)) for text in whole)


def test_layers_with_a_sliding_window():
    torch.manual_seed(3)
    config = transformers.Gemma3TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    )
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    model.generation_config.eos_token_id = TOKENIZER.eos_token_id
    constraint = of(INVOICE, model)
    together = texts(model, constraint, decoding=SAMPLED, keys=KEYS)
    assert together == texts(model, constraint, decoding=SAMPLED, keys=KEYS, token_budget=1)
    assert all(not constraint.schema.validate(parse(text)) for text in together)


@pytest.mark.parametrize("name", ["a long string", "anything", "a tree", "items", "optional properties", "a map"])
def test_an_answer_without_room_ends_in_a_whole_one(name):
    constraint = of(FOLLOWED[name])
    for limit in (24, 31, 40):
        for answer in answers(QWEN2, constraint, limit=limit, decoding=SAMPLED, keys=KEYS):
            assert answer.tokens <= limit
            assert not constraint.schema.validate(parse(answer.text)), answer.text


def test_as_much_as_there_is_room_for_is_kept():
    content = an_object({"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "integer"}}}, "a", "b")
    constraint = of(content)
    for key in KEYS[:2]:
        [long] = answers(QWEN2, constraint, PROMPTS[:1], decoding=SAMPLED, keys=[key])
        [short] = answers(QWEN2, constraint, PROMPTS[:1], limit=40, decoding=SAMPLED, keys=[key])
        assert 36 <= short.tokens <= 40 or short.text == long.text
        assert parse(short.text)["a"] == parse(long.text)["a"][: len(parse(short.text)["a"])]


def test_no_room_at_all_gives_what_is_not_valid_and_no_error():
    for answer in answers(QWEN2, of(INVOICE), limit=5):
        assert answer.tokens == 5
        assert answer.text.startswith('{"')
        with pytest.raises(ValueError):
            parse(answer.text)


def test_keys_that_the_schema_does_not_name_come_once():
    """The engine itself repeats them."""
    keys = {"type": "object", "patternProperties": {"^[abcd]$": {"const": 1}}, "additionalProperties": False}
    constraint = of(an_object({"map": keys, "last": {"const": "x"}}, "map", "last"))
    decoding = GenerationConfig(sampling=True, temperature=9)
    said = [parse(text) for text in texts(QWEN2, constraint, decoding=decoding, keys=KEYS)]
    assert any(len(value["map"]) > 1 for value in said)
    assert all(not constraint.schema.validate(value) for value in said)

    answer = Writing(constraint, 60)  # the one that would repeat a key is seen; else the answer is cut before it
    answer.begin()
    answer.add(TOKENIZER.encode('"a": 1, "b": 1, "a'))
    assert answer.repeats(TOKENIZER.encode('"')[0]) and not answer.repeats(TOKENIZER.encode("b")[0])
    answer.add(TOKENIZER.encode('": 1}'))
    value = parse(constraint.text(answer.tokens))
    assert answer.done and not constraint.schema.validate(value) and list(value["map"])[:2] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ('{"a": 1, "b": {"a": 2}, "a"', True),
        ('{"a": 1, "b": {"a": 2}, "a', False),
        ('{"a": "a", "b": ["a", "a"], "c": {"b": 1}', False),
        ('{"a": [{"b": 1}, {"b": 2}], "\\u0061"', True),
        ('{"a\\"": 1, "a\\"', False),
        ('{"a\\"": 1, "a\\""', True),
        ('{"a": "{", "a"', True),
    ],
)
def test_where_a_key_comes_twice(text, repeats):
    assert repeats_key(text) == repeats


TAKEN = [  # a schema, an answer, whether the engine takes it: what other engines get wrong
    ({"type": "string", "maxLength": 3}, '"a\\"b"', True),  # an escape is one character
    ({"type": "string", "maxLength": 3}, '"a\\"bc"', False),
    ({"type": "string", "minLength": 2, "maxLength": 3}, '"a\nb"', False),  # a control character is never plain
    ({"type": "string", "pattern": "b"}, '"abc"', True),  # a pattern is found anywhere
    ({"type": "string", "pattern": "b"}, '"ac"', False),
    ({"type": "string", "pattern": "^a|b$"}, '"xb"', True),
    ({"type": "number", "multipleOf": 0.01}, "4.35", True),
    ({"type": "number", "multipleOf": 0.01}, "4.355", False),
    ({"type": "integer", "multipleOf": 7}, "15", False),
    ({"type": "integer", "minimum": 3, "exclusiveMaximum": 12}, "11", True),
    ({"type": "integer", "minimum": 3, "exclusiveMaximum": 12}, "12", False),
    ({"type": "integer", "minimum": 3}, "2", False),
    ({"type": "string", "format": "date"}, '"2024-02-29"', True),
    ({"type": "string", "format": "date"}, '"2023-02-30"', False),
    ({"type": "string", "format": "date"}, '"2023-02-29"', False),
    ({"type": "string", "format": "date"}, '"1900-02-29"', False),
    ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, "4", True),
    ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, "6", False),
    (an_object({"a": {"const": 1}}, additionalProperties={"const": 2}), '{"a": 1, "b": 2}', True),
    (an_object({"a": {"const": 1}}, additionalProperties=False), '{"a": 1, "b"', False),
    (an_object({"a": {"const": 1}, "b": {"const": 2}}, "b"), '{"b": 2}', True),
    (an_object({"a": {"const": 1}, "b": {"const": 2}}, "b"), '{"a": 1}', False),
    ({"type": "integer"}, " 1", False),
    (an_object({"a": {"const": 1}}, "a"), '{"a" :1}', False),
    (an_object({"a": {"const": 1}}, "a"), '{ "a": 1}', False),
]


@pytest.mark.parametrize(("content", "text", "taken"), TAKEN)
def test_what_the_grammar_takes(content, text, taken):
    matcher = of(content).matcher()
    whole = all(matcher.consume_token(token) for token in TOKENIZER.encode(text)) and matcher.is_accepting()
    assert whole == taken


def test_tokens_that_the_tokenizer_does_not_have_are_never_said():
    constraint = of({"type": "string"})
    matcher = constraint.matcher()
    allowed = constraint.allowed([matcher], 512)[0]
    assert allowed.shape == (512,) and np.flatnonzero(allowed).max() < len(TOKENIZER)
    assert not allowed[TOKENIZER.all_special_ids].any()
    model = make()
    with torch.no_grad():
        model.get_output_embeddings().weight[len(TOKENIZER) :] = 50.0
    said = texts(model, constraint, decoding=SAMPLED, keys=KEYS)
    assert all(isinstance(parse(text), str) for text in said)


def test_an_end_comes_only_when_the_answer_is_whole():
    constraint = of({"type": "integer", "minimum": 10, "maximum": 99})
    matcher, end = constraint.matcher(), TOKENIZER.eos_token_id
    ended = [bool(constraint.allowed([matcher])[0][end])]
    for digit in "42":
        assert matcher.consume_token(TOKENIZER.encode(digit)[0])
        ended.append(bool(constraint.allowed([matcher])[0][end]))
    assert ended == [False, False, True]


def test_a_model_without_an_end_stops_where_nothing_can_follow():
    model = make()
    model.generation_config.eos_token_id = None
    constraint = of(INVOICE, model)
    assert all(not constraint.schema.validate(parse(text)) for text in texts(model, constraint, limit=300))


def test_separators_are_those_of_json_dumps():
    import json

    for text in texts(QWEN2, of(INVOICE), decoding=SAMPLED, keys=KEYS):
        assert json.dumps(json.loads(text), ensure_ascii=False).count(" ") == text.count(" ")


def test_text_is_as_it_was_written():
    """Other answers are brought to one normal form, which would change lengths that were counted."""
    content = {"enum": ["e\u0301\u0301 \u00ad", " x "]}
    schema = Schema.of(content, "s.json")
    assert schema.content == {"enum": ["\u00e9\u0301 ", " x "]}
    for text in texts(QWEN2, Constraint.of(schema, TOKENIZER, QWEN2), decoding=SAMPLED, keys=KEYS):
        assert not schema.validate(parse(text))


def test_repetition_gives_way_to_validity():
    content = {"type": "array", "items": {"const": "aa"}, "minItems": 6, "maxItems": 6}
    decoding = GenerationConfig(no_repeat_ngram_size=1)
    assert texts(QWEN2, of(content), decoding=decoding) == ["[" + ", ".join(['"aa"'] * 6) + "]"] * 8


def test_wrapped_tokenizers_and_finished_matchers_are_used_again():
    first, second = of(INVOICE), of(FOLLOWED["dates"])
    assert first.wrapped is second.wrapped
    matcher = first.matcher()
    assert matcher.consume_token(TOKENIZER.encode("{")[0])
    first.free(matcher)
    assert first.matcher() is matcher and not matcher.is_accepting()
    assert matcher.compute_ff_bytes().startswith(b'{"number": "')


def test_tokenizers_that_cannot_write_json():
    from tokenizers import Tokenizer, models, pre_tokenizers

    raw = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1, "</s>": 2}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="[UNK]")
    with pytest.raises(UserError, match=r"decoding: free"):
        of(INVOICE, tokenizer=words)
    small = make_model(300)
    with pytest.raises(UserError, match=r"the tokenizer has \d+ tokens and its model 300"):
        of(INVOICE, small)


def test_answers_after_a_rationale_follow_no_schema():
    with pytest.raises(UserError, match="cannot follow a schema"):
        generate(QWEN2, TOKENIZER, PROMPTS, max_new_tokens=9, after_rationale=True, constraint=of(INVOICE))


@pytest.mark.parametrize(
    ("text", "inside"), [(b"", False), (b'{"a', True), (b'{"a\\"', True), (b'{"a\\\\"', False), (b'["a", "b"', False)]
)
def test_where_a_string_is(text, inside):
    assert in_string(text) == inside


MODELS = Path(__file__).parents[2] / "resources" / "models"


@pytest.mark.parametrize("name", ["demo-student", "demo-t5-student"])
def test_the_shipped_models(name, monkeypatch):
    kind = transformers.AutoModelForSeq2SeqLM if "t5" in name else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(MODELS / name, dtype=torch.float64).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODELS / name)
    constraint = of(INVOICE, model, tokenizer)
    draw = random.Random(1)
    documents = [
        f"Invoice {draw.randrange(999)}, {draw.randrange(1, 28)} May 2024, total {draw.random():.2f}" for _ in range(8)
    ]
    prompts = [tokenizer.encode(document) for document in documents]
    found = []
    for jump in (True, False):
        monkeypatch.setattr(constraints, "write_batch", partial(batch.write_batch, jump=jump))
        found.append(texts(model, constraint, prompts, limit=120))
    assert found[0] == found[1]
    for text in found[0]:
        assert not constraint.schema.validate(parse(text)), text


def with_byte_fallback():
    """As of Llama 2: blanks are a character of the vocabulary, and other characters are spelt in bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *CHARS, "▁a", "na", "me", "name"]
    raw = Tokenizer(
        models.BPE(
            vocab={piece: place for place, piece in enumerate(pieces)},
            merges=[("▁", "a"), ("n", "a"), ("m", "e"), ("na", "me")],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(steps)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("make_one", [qwen, gpt2, llama3, with_byte_fallback])
def test_tokenizers_of_published_models(make_one):
    tokenizer = make_one()
    model = make_model(len(tokenizer) + 3).double().eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    constraint = of(INVOICE, model, tokenizer)
    prompts, found = [tokenizer.encode("Age: 23.0, Good")] * 3, {}
    for each in generate(
        model, tokenizer, prompts, max_new_tokens=400, constraint=constraint, decoding=SAMPLED, keys=KEYS[:3]
    ):
        found |= dict(each)
    assert all(not constraint.schema.validate(parse(answer.text)) for answer in found.values())


@pytest.mark.parametrize("make_one", [gemma, t5])
def test_tokenizers_that_cannot_spell_every_character(make_one):
    with pytest.raises(UserError, match=r"cannot use a tokenizer of this kind .*byte-level"):
        of(INVOICE, tokenizer=make_one())

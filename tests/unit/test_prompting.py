"""Base models say how prompts begin and what day it is, and pad with tokens that they have an embedding for."""

import random
from dataclasses import replace
from datetime import date, datetime

import pytest
from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.io.files import read_json, verify_sha256sums, write_json, write_sha256sums
from pipestill.models import chat_template
from pipestill.models.align import Prompting
from pipestill.models.chat_template import check_template, tell_time
from pipestill.models.checkpoint import provide_checkpoint
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.prompts import encode_prompt, encode_source
from pipestill.models.provide import provide_base_model
from pipestill.models.vocabulary import vocabulary_size
from pipestill.settings.models import BaseModelConfig
from pipestill.training.files import Inputs
from support.models import CPU, TEMPLATE
from support.tokenizer_kinds import bert, gemma, gpt2, hermes, llama2, llama3, make_directory_with, qwen, t5
from support.training_job import make_job

LLAMA = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}'
    '{%- endif %}{%- endif %}{{ "Today: " + date_string }}'
)
CLOCKS = {
    "llama": (LLAMA, "Today: 04 Mar 2025"),
    "smollm": ('{%- set today = strftime_now("%d-%B-%Y") -%}\n{{ today }}', "04-March-2025"),
    "granite": ("Today's Date: {{ strftime_now('%B %d, %Y') }}.", "Today's Date: March 04, 2025."),
    "in_a_macro": (
        "{% macro f() %}{{ strftime_now('%-d/%m/%y %H:%M %A') }}{% endmacro %}{{ f() }}",
        "4/03/25 00:00 Tuesday",
    ),
    "behind_lines": ("\n\n{{ strftime_now(format=' %Y') }}", "\n\n 2025"),
    "by_another_name": ("{% set now = strftime_now %}{{ now('%j') }}", "063"),
}
LABELLED = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"


def provide(tmp_path, tokenizer, rows=None, files=None, **config):
    """The base model of a tiny model with ``tokenizer``."""
    given = tmp_path / f"given{len(list(tmp_path.iterdir()))}"
    make_directory_with(given, tokenizer, rows)
    for name, content in (files or {}).items():
        (given / name).write_text(content)
    write_sha256sums(given)
    kind = "seq2seq" if "<extra_id_0>" in tokenizer.get_vocab() else "causal"
    provide_base_model(
        BaseModelConfig(kind=kind, source="path", path=str(given), **config), tmp_path / f"base-{given.name}"
    )
    return tmp_path / f"base-{given.name}"


def templated(template):
    tokenizer = qwen()
    tokenizer.chat_template = template
    return tokenizer


def test_prompts_begin_as_configured(tmp_path):
    for make, count in ((llama2, 1), (bert, 1), (t5, 0)):
        encode = encode_source if make is t5 else encode_prompt
        auto, never = (provide(tmp_path, make(), bos=bos) for bos in ("auto", "never"))
        first, bare = (encode(load_tokenizer(base), "Age: 23.0") for base in (auto, never))
        assert first[count:] == bare and len(first) == len(bare) + count
        assert verify_sha256sums(auto) != verify_sha256sums(never)
        assert [read_json(base / "provenance.json")["bos"] for base in (auto, never)] == ["auto", "never"]
        load_tokenizer(never).save_pretrained(tmp_path / make.__name__)  # as beside a trained model
        assert encode(load_tokenizer(tmp_path / make.__name__), "Age: 23.0") == bare


@pytest.mark.parametrize("name", CLOCKS)
def test_a_template_that_asks_for_the_date_is_told_the_one_of_the_configuration(name):
    template, told = CLOCKS[name]
    rendered = chat_template.render(templated(tell_time(template + TEMPLATE, "2025-03-04")), "Hi")
    assert rendered == f"{told}<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_every_program_that_renders_a_base_model_s_template_tells_the_same_date(tmp_path, capsys):
    base = provide(tmp_path, templated(LLAMA + TEMPLATE), date="2025-03-04")
    assert "its chat template asks for the date and is told 2025-03-04" in capsys.readouterr().err
    assert read_json(base / "provenance.json")["date"] == "2025-03-04"
    ours = load_tokenizer(base)
    theirs = type(ours).from_pretrained(base)  # as the local server loads it
    assert chat_template.render(theirs, "Hi") == chat_template.render(ours, "Hi")
    assert chat_template.render(theirs, "Hi").startswith("Today: 04 Mar 2025")


@pytest.mark.parametrize("day", ["2025-03-04", date(2025, 3, 4)])  # as text, and as YAML reads it
def test_a_date_is_a_day_of_the_calendar(day):
    model = {"source": "path", "path": "somewhere"}
    assert BaseModelConfig(**model, date=day).date == "2025-03-04"
    for wrong in ("2025-02-30", "today", "", datetime(2025, 3, 4, 12)):
        with pytest.raises(ValidationError, match="a day is expected, such as 2024-07-26"):
            BaseModelConfig(**model, date=wrong)


def test_the_date_has_a_default_and_can_be_set_anew(tmp_path):
    days = [{}, {"date": "2030-01-02"}]
    told = [tell_time(LLAMA, each.get("date")) for each in days]
    assert tell_time(told[0]) == told[0] and tell_time(told[0], "2030-01-02") == told[1]
    unprovided = make_directory_with(tmp_path / "hand", templated(LLAMA + TEMPLATE))
    assert chat_template.render(load_tokenizer(unprovided), "Hi").startswith("Today: 26 Jul 2024")
    first = provide(tmp_path, templated(LLAMA + TEMPLATE))
    assert Prompting.of(first) == Prompting("auto", "2024-07-26")
    provide_base_model(BaseModelConfig(source="path", path=str(first), date="2030-01-02"), tmp_path / "again")
    assert chat_template.render(load_tokenizer(tmp_path / "again"), "Hi").startswith("Today: 02 Jan 2030")
    provide_checkpoint(first, tmp_path / "again", tmp_path / "checkpoint")  # is asked as its base model is
    assert chat_template.render(load_tokenizer(tmp_path / "checkpoint"), "Hi").startswith("Today: 02 Jan 2030")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ ['a', 'b', 'c'] | random }}" + TEMPLATE, "renders one message in two ways"),
        ("{{ lipsum() }}" + TEMPLATE, "renders one message in two ways"),
        ("{{ raise_exception('no system message') }}", "does not render .*: no system message"),
        ("{% for m in messages %}", "does not render .*: Unexpected end of template"),
        ("{{ datetime.now() }}" + TEMPLATE, "does not render .*'datetime' is undefined"),
        ("{% for part in messages[0].content %}{{ part.text }}{% endfor %}", "leaves the text of a message out"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "leaves the text of a message out"),
    ],
)
def test_templates_that_are_no_functions_of_a_message_are_refused(template, problem):
    random.seed(1)
    with pytest.raises(UserError, match=problem) as refusal:
        check_template(templated(template))
    assert "chat_template.jinja" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_broken_template_is_refused_when_the_base_model_is_made(tmp_path):
    with pytest.raises(UserError, match=r"does not render .*: Unexpected end of template"):
        provide(tmp_path, templated("{% for m in messages %}"))
    assert not (tmp_path / "base-given0").is_dir()


def test_a_template_may_stand_in_a_file_or_among_others(tmp_path):
    other = TEMPLATE.replace("im_start", "im_end")
    base = provide(tmp_path, templated(None), files={"chat_template.jinja": TEMPLATE})
    assert load_tokenizer(base).chat_template == TEMPLATE
    base = provide(tmp_path, templated({"default": TEMPLATE, "tool_use": other}))
    assert load_tokenizer(base).chat_template == TEMPLATE
    bare = make_directory_with(tmp_path / "bare", templated(None))
    named = [{"name": name, "template": TEMPLATE} for name in ("one", "two")]
    write_json(bare / "tokenizer_config.json", read_json(bare / "tokenizer_config.json") | {"chat_template": named})
    with pytest.raises(UserError, match=r"the chat templates of .* have no default"):
        load_tokenizer(bare)


def test_a_message_that_its_template_refuses_is_named(tmp_path):
    tokenizer = templated("{% if 'x' in messages[0].content %}{{ raise_exception('no x') }}{% endif %}" + TEMPLATE)
    assert encode_prompt(tokenizer, "Age")
    with pytest.raises(UserError, match="does not render the message 'six': no x"):
        encode_prompt(tokenizer, "six")


@pytest.mark.parametrize("make", [gpt2, hermes, llama3])
def test_without_padding_token_the_end_of_sequence_pads(tmp_path, make):
    base = provide(tmp_path, make())
    tokenizer = load_tokenizer(base)
    assert tokenizer.pad_token == tokenizer.eos_token == read_json(base / "tokenizer_config.json")["pad_token"]
    assert load_base_model(base, CPU).config.pad_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize("make", [llama2, gemma, qwen])
def test_tokens_without_an_embedding_are_forgotten_and_padding_is_the_end_of_sequence(tmp_path, make):
    tokenizer = make()
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]", "extra_special_tokens": ["<|tool|>"]})
    tokenizer.add_tokens(["<note>"])
    prompt = encode_prompt(make(), "Age: [PAD] <note>")
    base = provide(tmp_path, tokenizer, rows)
    loaded = load_tokenizer(base)
    assert vocabulary_size(loaded) == rows and loaded.pad_token == loaded.eos_token
    assert encode_prompt(loaded, "Age: [PAD] <note>") == prompt
    assert load_base_model(base, CPU).config.pad_token_id == loaded.eos_token_id


def test_tokens_that_are_needed_have_an_embedding(tmp_path):
    tokenizer = gpt2()
    tokenizer.add_special_tokens({"eos_token": "<|end|>"})
    with pytest.raises(UserError, match=r"needs the token '<\|end\|>' with id 301, but its model has 301 embeddings"):
        provide(tmp_path, tokenizer, 301)
    tokenizer = gpt2()
    tokenizer.add_tokens(["<|user|>"])
    tokenizer.chat_template = LABELLED
    with pytest.raises(UserError, match=r"needs the token '<\|user\|>' with id 301, but"):
        provide(tmp_path, tokenizer, 301)
    with pytest.raises(UserError, match=r"needs the token .* with id 250, but its model has 250 embeddings"):
        provide(tmp_path, gpt2(), 250)


def test_a_model_that_will_be_served_has_a_chat_template(tmp_path):
    inputs = Inputs(tmp_path, tmp_path, make_directory_with(tmp_path / "base", gpt2()))
    job = make_job(tmp_path, "annotator", None, {}, CPU, inputs=inputs)
    del vars(job)["tokenizer"]
    assert job.tokenizer.chat_template is None
    served = replace(job, settings=job.settings.model_copy(update={"served": True}))
    with pytest.raises(UserError, match="has no chat template, which a model needs to be served"):
        _ = served.tokenizer

"""Exporting: what is refused, the chat templates that are written, and whose licence a card tells."""

import sys

import pytest

from pipestill.cli import main
from pipestill.errors import UserError
from pipestill.export.card import Exported, _use, export_card
from pipestill.export.directory import check_place
from pipestill.export.prompting import chat_template
from pipestill.io.files import write_text
from pipestill.models.prompts import PromptEncoder, encode_source, encode_whole
from pipestill.models.rows import masked_row
from pipestill.settings.prompts import Prompt
from support.asking import asking_about
from support.models import TEMPLATE, make_tokenizer
from support.tokenizer_kinds import KINDS

QUESTION = "Age: 23.0,\nso {{ what }} is <b>it</b>?"
CHAT, RAW = Prompt(text="{features}"), Prompt(text="{features}", render="raw")


def rendered(tokenizer, template, text=QUESTION):
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], chat_template=template, add_generation_prompt=True, return_dict=True
    )["input_ids"]


@pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["chat", "raw"])
@pytest.mark.parametrize("template", [TEMPLATE, None], ids=["own", "none"])
def test_a_template_renders_what_a_causal_model_reads(prompt, template):
    tokenizer = make_tokenizer(template)
    encoder = PromptEncoder(tokenizer, "causal", prompt.form)
    found = chat_template(tokenizer, "causal", encoder, prompt, 0)
    assert rendered(tokenizer, found) == encoder(QUESTION, 500)
    assert (found == TEMPLATE) == (prompt is CHAT and template is not None)


def test_a_template_renders_what_the_other_kinds_read():
    tokenizer = make_tokenizer(None)
    tokenizer.add_special_tokens({"mask_token": "<|mask|>"})
    seq2seq, masked = (PromptEncoder(tokenizer, kind, CHAT.form) for kind in ("seq2seq", "masked"))
    found = chat_template(tokenizer, "seq2seq", seq2seq, CHAT, 0)
    assert rendered(tokenizer, found) == encode_source(tokenizer, QUESTION) and "<|im_end|>" in found
    found = chat_template(tokenizer, "masked", masked, CHAT, 2)
    assert rendered(tokenizer, found) == masked_row(tokenizer, masked(QUESTION, 500), [5, 6])["input_ids"]
    found = chat_template(tokenizer, "classifier", masked, CHAT, 0)
    assert rendered(tokenizer, found) == encode_whole(masked, QUESTION, 500)


def first_blank():
    """Puts a blank before the first word of a text, and before none behind a control token."""
    from tokenizers import normalizers, pre_tokenizers

    tokenizer = KINDS["llama2"]()
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([])
    blanks = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.backend_tokenizer.pre_tokenizer = blanks
    return tokenizer


@pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["chat", "raw"])
@pytest.mark.parametrize("make", [*KINDS.values(), first_blank], ids=lambda make: make.__name__)
def test_a_template_follows_every_kind_of_tokenizer(make, prompt):
    tokenizer, kind = make(), {"t5": "seq2seq", "bert": "masked"}.get(make.__name__, "causal")
    encoder = PromptEncoder(tokenizer, kind, prompt.form)
    found = rendered(tokenizer, chat_template(tokenizer, kind, encoder, prompt, 1))
    asked = encoder(QUESTION, 500)
    assert found == (masked_row(tokenizer, asked, [5])["input_ids"] if kind == "masked" else asked)


def test_a_tokenizer_that_no_template_can_follow_is_refused():
    tokenizer = make_tokenizer(None)

    class Other(PromptEncoder):
        def __call__(self, prompt, max_tokens):
            return [7, *super().__call__(prompt, max_tokens)]

    with pytest.raises(UserError, match="no chat template renders prompts to the tokens"):
        chat_template(tokenizer, "causal", Other(tokenizer, "causal", CHAT.form), CHAT, 0)


def test_a_directory_that_is_in_use_stays_as_it_is(tmp_path, monkeypatch, capsys):
    write_text(tmp_path / "mine/notes.txt", "mine")
    monkeypatch.setattr(sys, "argv", ["pipestill", "export", "creditmix_sft", "--to", str(tmp_path / "mine")])
    with pytest.raises(SystemExit):
        main()
    assert "mine is not empty: name a directory that does not exist" in capsys.readouterr().err
    with pytest.raises(UserError, match="is not empty"):
        check_place(tmp_path / "mine/notes.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")


def test_an_experiment_that_is_not_there(tmp_path, monkeypatch, capsys):
    arguments = ["export", "creditmix_sft", "--to", str(tmp_path / "out"), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["pipestill", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert "`creditmix_sft` is no experiment under" in capsys.readouterr().err and not (tmp_path / "out").exists()


def exported(**facts):
    asking = asking_about("creditmix", max_prompt_tokens=60, max_new_tokens=4)
    return Exported(**{"name": "mine", "base": "demo", "from_hub": False, "kind": "causal", "asking": asking} | facts)


def test_a_card_tells_how_a_model_is_used():
    text = _use(exported(adapter=True, base="owner/base"))
    assert 'AutoModelForCausalLM.from_pretrained("mine")' in text and "at most 60 tokens" in text
    assert "of `owner/base`" in text and "rationale" not in text
    told = asking_about("creditmix", max_prompt_tokens=60, max_new_tokens=40, rationale_tokens=30)
    assert "behind `### Answer`" in _use(exported(adapter=False, asking=told))
    worded = told.model_copy(update={"prompt": Prompt(text="{features}", verbalizers={"Good": "fine"})})
    assert "It answers `fine` for Good." in _use(exported(adapter=False, asking=worded))


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (
            "---\nlicense: other\nlicense_name: gemma\nlicense_link: x\n---\n# A\n",
            "That of the base model `demo`: gemma.",
        ),
        ("---\nlicense: mit\n---\n# A\n", "That of the base model `demo`: mit."),
        ("# A\n", "do not say which licence they have"),
        ("---\n: [\n---\n", "do not say which licence they have"),
        (None, "do not say which licence they have"),
    ],
)
def test_the_licence_is_that_of_the_base_model(tmp_path, monkeypatch, card, said):
    from pipestill.export import card as module

    monkeypatch.setattr(module, "model_card", lambda evaluation, use: f"# mine\n\n{use}")
    if card:
        write_text(tmp_path / "README.md", card)
    evaluation = type("Evaluation", (), {"task": "creditmix", "method": "sft"})
    text = export_card(evaluation, exported(adapter=False), tmp_path)
    assert said in text and text.startswith("---\nlicense: ") and "base_model:" not in text
    hub = export_card(evaluation, exported(adapter=True, from_hub=True, base="owner/base"), tmp_path)
    assert "base_model: owner/base\nbase_model_relation: adapter\n" in hub
    assert ("license: unknown" in text) == ("do not say" in said)

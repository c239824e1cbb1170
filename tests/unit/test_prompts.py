import pytest

from pipestill.errors import UserError
from pipestill.models.prompts import ENCODERS, PromptEncoder, encode_answer, encode_label, encode_prompt, encode_source
from pipestill.tasks.dolly import ALPACA
from support.models import make_tokenizer

TEXTS = [
    "Age: 23.0, Occupation: Scientist, Outstanding Debt: 809.98",
    "señor " * 20,
    "x" * 50,
    "日本語のテキスト🙂🙂 and English",
    "   spaces   and\n\nnewlines   ",
]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def test_template(tokenizer):
    text = tokenizer.decode(encode_prompt(tokenizer, "Age: 23.0"))
    assert text == "<|im_start|>user\nAge: 23.0<|im_end|>\n<|im_start|>assistant\n"


def test_without_template():
    plain = make_tokenizer(template=None)
    assert plain.decode(encode_prompt(plain, "Age: 23.0")) == "Age: 23.0\n"
    assert plain.decode(encode_prompt(plain, "Age: 23.0", 2)) == "Age\n"


def test_answer_ends_where_generation_stops(tokenizer):
    assert encode_answer(tokenizer, "Good") == [*encode_label(tokenizer, "Good"), tokenizer.eos_token_id]
    assert tokenizer.decode(encode_label(tokenizer, "Good")) == "Good"


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("strips", [False, True])
def test_cut_is_the_longest_that_fits(tokenizer, text, strips):
    """Against brute force over every cut at a token boundary, for every limit."""
    if strips:
        tokenizer = make_tokenizer(tokenizer.chat_template.replace("m.content", "m.content | trim"))
    full = encode_prompt(tokenizer, text)
    empty = encode_prompt(tokenizer, "")
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    cuts = [encode_prompt(tokenizer, text[:end]) for end in [0, *(end for _, end in offsets)]]
    assert encode_prompt(tokenizer, text, len(full)) == full
    for limit in range(len(empty), len(full)):
        tokens = encode_prompt(tokenizer, text, limit)
        assert len(tokens) <= limit
        assert len(tokens) == max(len(cut) for cut in cuts if len(cut) <= limit)
        decoded = tokenizer.decode(tokens)
        head, tail = tokenizer.decode(empty).split("user\n")
        assert decoded.startswith(f"{head}user\n") and decoded.endswith(tail)
        user = decoded.removeprefix(f"{head}user\n").removesuffix(tail)
        assert text.strip().startswith(user) if strips else text.startswith(user)


def test_template_that_does_not_fit(tokenizer):
    empty = encode_prompt(tokenizer, "")
    with pytest.raises(UserError, match=f"alone takes {len(empty)} tokens, but a prompt may have {len(empty) - 1}"):
        encode_prompt(tokenizer, "Age: 23.0", len(empty) - 1)


@pytest.mark.parametrize("encode", [encode_prompt, encode_source])
@pytest.mark.parametrize(("instruction", "text"), [("Sum it up.", "Age: 23.0 " * 40), ("Sum it up. " * 40, "")])
def test_the_ending_of_a_template_is_never_cut(tokenizer, encode, instruction, text):
    prompt = ALPACA.fill({"instruction": instruction, "input": text})
    full, empty = encode(tokenizer, prompt), encode(tokenizer, ALPACA.fill({"instruction": "", "input": ""}))
    for limit in range(len(empty) + 60, len(full)):
        tokens = encode(tokenizer, prompt, limit, ALPACA.form)
        assert len(tokens) <= limit
        user = tokenizer.decode(tokens).removeprefix("<|im_start|>user\n").partition("<|im_end|>")[0]
        head = user.removesuffix(ALPACA.form.ending)
        assert head != user and prompt.startswith(head)
    with pytest.raises(UserError, match="the template alone takes"):
        encode(tokenizer, prompt, 5, ALPACA.form)


@pytest.mark.parametrize("encode", [encode_prompt, encode_source])
def test_a_prompt_of_another_template_has_no_ending(tokenizer, encode):
    prompt = "Age: 23.0 " * 40
    assert encode(tokenizer, prompt, 60, ALPACA.form) == encode(tokenizer, prompt, 60)


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "masked"])
def test_prompts_that_are_cut_are_counted(tokenizer, capsys, kind):
    encode = ENCODERS[kind]
    prompts = PromptEncoder(tokenizer, kind)
    full = encode(tokenizer, "Age: 23.0")
    assert prompts("Age: 23.0", len(full)) == full
    prompts.report("rows")
    assert capsys.readouterr().err == ""
    longer = "Age: 23.0 " * 9
    assert prompts("Age: 23.0", len(full)) == full
    assert prompts(longer, len(full)) == encode(tokenizer, longer, len(full))
    prompts.report("rows")
    assert capsys.readouterr().err == (
        "rows: 1 of 2 prompts were longer than max_length allows and lost the end of their text\n"
    )

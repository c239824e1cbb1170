from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipestill.pretraining.corpus.mixture import FAMILIES, family_documents
from pipestill.pretraining.tokenizer import SENTINELS, SPECIAL_TOKENS, VOCABULARY
from pipestill.tasks import lexicon

SHIPPED = Path(__file__).parents[2] / "resources" / "models"
DIRECTORIES = ("tokenizer", "demo-student", "demo-teacher")


@pytest.fixture(params=DIRECTORIES)
def tokenizer(request):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(SHIPPED / request.param), local_files_only=True)


def test_special_tokens_come_first_and_are_never_split(tokenizer):
    assert len(tokenizer) == VOCABULARY
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    for token in SPECIAL_TOKENS:
        assert len(tokenizer.encode(f"a{token}b")) == 3
    assert tokenizer.mask_token == "<|mask|>" and len(SENTINELS) == 16
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert tokenizer.padding_side == tokenizer.truncation_side == "right"


def test_chat_template_has_no_system_message_of_its_own(tokenizer):
    messages = [{"role": "user", "content": "How many?"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    messages = [{"role": "system", "content": "Be brief."}, *messages, {"role": "assistant", "content": "Two"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow many?<|im_end|>\n"
        "<|im_start|>assistant\nTwo<|im_end|>\n"
    )


def test_label_words_are_one_token_at_the_start_of_an_answer_and_after_a_space(tokenizer):
    for word in lexicon.LABEL_WORDS:
        for before in ("<|im_start|>assistant\n", "answer:"):
            answer = word if before.endswith("\n") else f" {word}"
            ids = tokenizer.encode(before + answer)
            assert ids[:-1] == tokenizer.encode(before)
            assert tokenizer.decode(ids[-1]) == answer


def test_digits_stand_alone_and_text_survives(tokenizer):
    assert [tokenizer.decode(i) for i in tokenizer.encode("809.98")] == list("809.98")
    for text in ("Año 1990: señal—ok", "x = [1, 2]\n\tif y:\n", "日本 🙂", " leading  double "):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_class_that_transformers_chooses_tokenises_like_the_file():
    from transformers import AutoTokenizer

    directory = SHIPPED / "demo-student"
    file, loaded = Tokenizer.from_file(str(directory / "tokenizer.json")), AutoTokenizer.from_pretrained(str(directory))
    for family in FAMILIES:
        for document in family_documents(family.name, "same", 20):
            assert loaded(document.text).input_ids == file.encode(document.text).ids


def test_shipped_directories_share_one_tokenizer():
    texts = {(SHIPPED / name / "tokenizer.json").read_bytes() for name in DIRECTORIES}
    assert len(texts) == 1

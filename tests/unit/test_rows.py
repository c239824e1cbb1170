import json

import pytest

from pipestill.errors import UserError
from pipestill.models.prompts import encode_answer, encode_label, encode_prompt
from pipestill.models.rows import IGNORED, RowEncoder, collate, read_answers, read_pairs
from support.models import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def write(tmp_path):
    def write(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return path

    return write


@pytest.mark.parametrize("key", ["output", "teacher_output"])
def test_only_the_answer_and_its_end_are_supervised(tokenizer, write, key):
    (row,) = read_answers(write({"id": "1", "input": "Age: 23.0", key: "Good"}), RowEncoder(tokenizer, 256), key)
    prompt, answer = encode_prompt(tokenizer, "Age: 23.0"), encode_answer(tokenizer, "Good")
    assert row["input_ids"] == prompt + answer
    assert row["labels"] == [IGNORED] * len(prompt) + answer
    assert answer[-1] == tokenizer.eos_token_id
    text = tokenizer.decode(row["input_ids"])
    assert text == "<|im_start|>user\nAge: 23.0<|im_end|>\n<|im_start|>assistant\nGood<|im_end|>"


def test_pairs_have_the_tokens_of_answers_and_of_label_ranking(tokenizer, write):
    text = "Age: 23.0, " * 9
    (pair,) = read_pairs(write({"prompt": text, "chosen": "Good", "rejected": "Bad"}), RowEncoder(tokenizer, 256))
    (answer,) = read_answers(write({"input": text, "output": "Good"}), RowEncoder(tokenizer, 256))
    assert pair["prompt_ids"] + pair["chosen_ids"] == answer["input_ids"]
    assert pair["prompt_ids"] == encode_prompt(tokenizer, text)
    assert pair["rejected_ids"] == [*encode_label(tokenizer, "Bad"), tokenizer.eos_token_id]


def test_a_long_prompt_loses_its_end_and_the_answer_stays(tokenizer, write, capsys):
    text, limit = "Outstanding Debt: 809.98 " * 30, 40
    (row,) = read_answers(write({"input": text, "output": "Standard"}), RowEncoder(tokenizer, limit))
    assert len(row["input_ids"]) == limit
    assert tokenizer.decode(row["input_ids"]).endswith("<|im_end|>\n<|im_start|>assistant\nStandard<|im_end|>")
    (pair,) = read_pairs(write({"prompt": text, "chosen": "Bad", "rejected": "Standard"}), RowEncoder(tokenizer, limit))
    assert pair["prompt_ids"] + pair["rejected_ids"] == row["input_ids"]
    read_answers(
        write(*({"input": part, "output": "Standard"} for part in (text, "Age", text))), RowEncoder(tokenizer, limit)
    )
    *_, last = capsys.readouterr().err.splitlines()
    assert last.endswith(".jsonl: 2 of 3 prompts were longer than max_length allows and lost the end of their text")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input": "a"}, "line 2: `output` is missing"),
        ({"input": "a", "teacher_output": "Good"}, "line 2: `output` is missing"),
        ({"input": "a", "output": 3}, "line 2: `output` is int, not text"),
        ({"output": "b"}, "line 2: `input` is missing; the keys are output"),
        ({"input": "a", "output": "Good " * 30}, "line 2: the answer takes .* `max_length`"),
        ({"input": "a", "output": "Good Standard Bad 12 34 56 78"}, "line 2: the template alone"),
    ],
)
def test_bad_rows_are_named(tokenizer, write, row, message):
    path = write({"input": "a", "output": "Good"}, row)
    with pytest.raises(UserError, match=message) as error:
        read_answers(path, RowEncoder(tokenizer, 28))
    assert str(path) in str(error.value)


def test_a_pair_without_a_difference_is_refused(tokenizer, write):
    with pytest.raises(UserError, match=r"line 1: .* nothing to prefer"):
        read_pairs(write({"prompt": "a", "chosen": "Good", "rejected": "Good"}), RowEncoder(tokenizer, 64))


def test_an_empty_file_is_refused(tokenizer, write):
    with pytest.raises(UserError, match=r"rows\.jsonl is empty"):
        read_answers(write(), RowEncoder(tokenizer, 64))


def test_batches_are_padded_on_the_right():
    rows = [{"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7]}, {"input_ids": [8, 9], "labels": [IGNORED, 9]}]
    batch = collate(rows, pad_token_id=1)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]

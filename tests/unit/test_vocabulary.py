import pytest

from pipestill.errors import UserError
from pipestill.models.vocabulary import shared_vocabulary
from support.models import make_tokenizer


def test_equal_vocabularies_are_shared_whatever_the_templates():
    tokenizer = make_tokenizer()
    assert shared_vocabulary(tokenizer, make_tokenizer(template=None)) == len(tokenizer)


def test_tokens_are_compared_and_not_sizes():
    """Same size, same tokens, two of them exchanged: every length agrees."""
    tokenizer, other = make_tokenizer(), make_tokenizer()
    vocabulary = other.get_vocab()
    first, second = (next(token for token, index in vocabulary.items() if index == number) for number in (40, 41))
    exchanged = vocabulary | {first: 41, second: 40}
    other.get_vocab = lambda: exchanged
    assert len(other.get_vocab()) == len(tokenizer.get_vocab())
    with pytest.raises(UserError, match=rf"id 40 is '{first}' for the student and '{second}' .*`kd`.*`uld`"):
        shared_vocabulary(tokenizer, other)


def test_a_token_that_one_of_them_lacks_is_named():
    tokenizer, other = make_tokenizer(), make_tokenizer()
    other.add_tokens(["<new>"])
    with pytest.raises(UserError, match=rf"id {len(tokenizer)} is nothing for the student and '<new>'"):
        shared_vocabulary(tokenizer, other)

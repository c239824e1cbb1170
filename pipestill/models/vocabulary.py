"""Proof that two tokenizers mean the same tokens by the same ids, which token-wise divergences rest on."""

from typing import TYPE_CHECKING

from pipestill.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def shared_vocabulary(student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase") -> int:
    """The :func:`vocabulary_size` that student and teacher share.

    Heads may be wider, padded for speed (Qwen2.5 has 151,936 rows in small models and 152,064 in large ones): what is
    beyond the size is cut from the logits before a softmax, for it holds probability of tokens that do not exist.

    Raises:
        UserError: an id stands for different tokens, or for one of them only; the message names the way out.
    """
    ours, theirs = ({index: token for token, index in each.get_vocab().items()} for each in (student, teacher))
    if ours != theirs:
        index = min(index for index in ours.keys() | theirs.keys() if ours.get(index) != theirs.get(index))
        tokens = (repr(tokens[index]) if index in tokens else "nothing" for tokens in (ours, theirs))
        raise UserError(
            "student and teacher have different vocabularies (id {} is {} for the student and {} for the teacher), so "
            "their distributions cannot be compared token by token: use the method `kd`, which learns from the "
            "teacher's texts, or `uld`, which compares sorted probabilities".format(index, *tokens)
        )
    return vocabulary_size(student)


def vocabulary_size(tokenizer: "PreTrainedTokenizerBase") -> int:
    """One more than the highest id, added tokens included."""
    return max(tokenizer.get_vocab().values()) + 1

"""Whether two models can be compared token by token."""

from collections.abc import Mapping

from pipestill.errors import UserError


def shared_vocabulary(student: Mapping[str, int], teacher: Mapping[str, int]) -> int:
    """Number of ids that mean the same token to both models, counted from 0.

    Ids are compared one by one, because equal sizes prove nothing and heads are often padded. One vocabulary may have
    further tokens behind the other's last id; logits of both are cut to the number that is returned.

    Args:
        student: ``get_vocab()`` of its tokenizer: id of each token.
        teacher: the same of the teacher.

    Raises:
        UserError: the tokenizers differ.
    """
    size = 1 + min(max(student.values()), max(teacher.values()))
    own, other = ({token_id: token for token, token_id in vocab.items()} for vocab in (student, teacher))
    for token_id in range(size):
        if own.get(token_id) != other.get(token_id):
            raise UserError(
                f"Student and teacher have different tokenizers (id {token_id} is {own.get(token_id)!r} to the "
                f"student and {other.get(token_id)!r} to the teacher), so their distributions cannot be compared token "
                "by token: use sequence-level distillation (method `kd`), or the divergence `uld`."
            )
    return size

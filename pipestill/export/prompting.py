"""Chat templates that render a question to the very tokens that the pipeline asks a model with."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.chat_template import PROBES
from pipestill.models.kinds import CLASSIFIER
from pipestill.models.prompts import PromptEncoder
from pipestill.models.text_encoder import text_encoder
from pipestill.settings.prompts import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pipestill.models.kinds import TrainedKind

NO_LIMIT = 2**30
TURNS = "{{% for message in messages %}}{{{{ {space!r} + message['content'] + {line!r} }}}}{{% endfor %}}"


def chat_template(
    tokenizer: "PreTrainedTokenizerBase", kind: "TrainedKind", encoder: PromptEncoder, prompt: Prompt, masks: int
) -> str:
    """The chat template that renders a user's message to the tokens of its prompt, and to what is behind it.

    It is the model's own where its prompts are chats, and else writes what the pipeline puts around a text.

    Args:
        tokenizer: of the model.
        kind: of the model.
        encoder: of its prompts.
        prompt: that it is asked with.
        masks: that stand for an answer, of a masked model.

    Raises:
        UserError: no template renders to those tokens.
    """
    behind = _behind(tokenizer, kind, masks)
    questions = [prompt.fill(dict.fromkeys(prompt.template.gaps, probe)) for probe in PROBES]
    wanted = [[*encoder(question, NO_LIMIT), *behind] for question in questions]
    for template in _candidates(tokenizer, kind, encoder, behind):
        if [_rendered(tokenizer, template, question) for question in questions] == wanted:
            return template
    raise UserError(
        f"no chat template renders prompts to the tokens that the model was asked with (tokenizer "
        f"{type(tokenizer).__name__}): use it by `pipestill predict`"
    )


def _behind(tokenizer: "PreTrainedTokenizerBase", kind: "TrainedKind", masks: int) -> list[int]:
    """Tokens that a model reads behind a prompt."""
    encoder = text_encoder(tokenizer)
    if kind == "masked":
        return [*[tokenizer.mask_token_id] * masks, *encoder.behind]
    return encoder.closing if kind == CLASSIFIER else []


def _candidates(
    tokenizer: "PreTrainedTokenizerBase", kind: "TrainedKind", encoder: PromptEncoder, behind: list[int]
) -> Iterator[str]:
    """The model's own template, then what stands around a text, with a line's end or without.

    Some tokenizers begin a text with a space that they do not write behind a control token.
    """
    if tokenizer.chat_template:
        yield tokenizer.chat_template
    own = text_encoder(tokenizer)
    ends = [*(own.behind if kind == "seq2seq" else []), *behind]
    before, after = ("".join(tokenizer.convert_ids_to_tokens(ids)) for ids in (own.before, ends))
    for line, space in product(("\n", "") if encoder.form.render == "chat" else ("",), ("", " ")):
        yield f"{{{{ {before!r} }}}}{TURNS.format(space=space, line=line)}{{{{ {after!r} }}}}"


def _rendered(tokenizer: "PreTrainedTokenizerBase", template: str, question: str) -> list[int]:
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        chat_template=template,
        add_generation_prompt=True,
        return_dict=True,
    )["input_ids"]

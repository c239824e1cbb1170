"""Chat templates as functions of the message: they are told the time, and each renders a message in one way only."""

import re
from datetime import date, datetime
from itertools import cycle
from typing import TYPE_CHECKING

from pipestill.errors import UserError, first_line
from pipestill.settings.models import TODAY

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("user", "assistant")
CLOCK = re.compile(r"\bstrftime_now\b")
TOLD, END = "{% macro strftime_now(format) %}", "{% endmacro %}\n"  # around the clock of a template
DIRECTIVES = "aAbBcCdDeFgGhHIjklmMpPrRSTuUVwWxXyYf"  # of strftime, but for the time zone
RENDERINGS = 16  # of one message, which must be equal
PROBES = ("Good morning.", "One line,\nand {{ another }}: <b>42</b> %Y")


def tell_time(template: str, day: str | None = None) -> str:
    """``template`` with a clock of its own, which stands at midnight of ``day``, if it reads one.

    Args:
        template: of a tokenizer.
        day: as YYYY-MM-DD; none: the one that it was told before, else :data:`~pipestill.settings.models.TODAY`.
    """
    if template.startswith(TOLD):
        if day is None:
            return template
        template = template.partition(END)[2]
    if not CLOCK.search(template):
        return template
    time = datetime.combine(date.fromisoformat(day or TODAY), datetime.min.time())
    told = [(f"%{sign}{name}", time.strftime(f"%{sign}{name}")) for name in DIRECTIVES for sign in ("-", "")]
    words = ", ".join(f"({name!r}, {value!r})" for name, value in told)
    return (
        f"{TOLD}{{% set time = namespace(text=format) %}}{{% for name, value in [{words}] %}}"
        f"{{% set time.text = time.text | replace(name, value) %}}{{% endfor %}}{{{{ time.text }}}}{END}{template}"
    )


def render(tokenizer: "PreTrainedTokenizerBase", *messages: str) -> str:
    """Messages of user and assistant in turn, in the chat template of ``tokenizer``, up to where the answer begins.

    Raises:
        UserError: the template is broken, or refuses the message.
    """
    try:
        return tokenizer.apply_chat_template(
            [{"role": role, "content": message} for role, message in zip(cycle(ROLES), messages, strict=False)],
            tokenize=False,
            add_generation_prompt=True,
        )
    except Exception as error:  # a template runs code of its own
        problem = first_line(error)
        raise UserError(
            f"the chat template of {tokenizer.name_or_path or 'the model'} does not render the message "
            f"{messages[-1][:80]!r}: {problem}; correct chat_template.jinja, or remove it and the key `chat_template` "
            "of tokenizer_config.json to do without"
        ) from error


def check_template(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Refuse a chat template that renders one message in two ways, or leaves it out.

    Raises:
        UserError: as above, or it does not render at all.
    """
    if not tokenizer.chat_template:
        return
    if PROBES[0] not in render(tokenizer, PROBES[0]):
        raise UserError(
            "the chat template leaves the text of a message out: correct chat_template.jinja, which gets the text "
            "itself, not a list of parts"
        )
    for probe in PROBES:
        rendered = render(tokenizer, probe)
        if any(render(tokenizer, probe) != rendered for _ in range(RENDERINGS)):
            raise UserError(
                "the chat template renders one message in two ways, so no two prompts would be alike: remove what "
                "draws at random from chat_template.jinja"
            )

"""MNLI with two other classes: a sentence follows from another one, or it does not, contradicted or left open."""

from dataclasses import replace
from functools import partial

from pipestill.answers.labels import Labels
from pipestill.tasks.mnli import CLASSES, LABELS, MNLI, parse

MERGED = ("entailment", "non-entailment")
_MERGED = {**CLASSES, **dict.fromkeys(("contradiction", "non-entailment", "neutral"), MERGED[1])}
_RENAMED = dict(zip(LABELS, MERGED, strict=True))

MNLI_MERGED = replace(
    MNLI,
    name="mnli-merged",
    prompts={
        name: prompt.model_copy(
            update={"verbalizers": {_RENAMED[label]: word for label, word in prompt.verbalizers.items()}}
        )
        for name, prompt in MNLI.prompts.items()
    },
    answers=Labels(MERGED, null_inputs=MNLI.answers.null_inputs),
    parse=partial(parse, classes=_MERGED),
)

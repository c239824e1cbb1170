"""A model that is loaded: what every stage that asks one shares."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.kinds import body_kind
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.prompts import PromptEncoder
from pipestill.settings.jobs import ModelSettings
from pipestill.settings.prompts import Prompt
from pipestill.text.context import NO_CONTEXT, Context

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")
KEPT = 16  # things that are kept beside a model


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode.

    Attributes:
        model: of transformers or peft.
        tokenizer: of the model.
        plan: how it was loaded.
        context: that stands before every prompt.
        writer: writes answers in place of the model, which has no weights then; none: the model does.
    """

    model: Any
    tokenizer: "PreTrainedTokenizerBase"
    plan: HardwarePlan
    context: Context = NO_CONTEXT
    writer: Callable[..., Any] | None = None
    _kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict, init=False, repr=False, compare=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives: it is called where ``key`` is none of the last :data:`KEPT` that were asked for."""
        found = self._kept.pop(key) if key in self._kept else make()
        self._kept[key] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def encoder(self, prompt: Prompt) -> PromptEncoder:
        """Encodes what a prompt asks, behind the context."""
        return PromptEncoder(self.tokenizer, body_kind(self.model.config), prompt.form, self.context)


def prepare(settings: ModelSettings, threads: int) -> HardwarePlan:
    """Plan as the model was trained, and set torch up accordingly."""
    plan = plan_here(settings.hardware, settings.adaptation, threads)
    apply(plan)
    return plan


def load(base: Path, model: Path | None, plan: HardwarePlan) -> Loaded:
    """A trained model, or its base model where ``model`` is none."""
    loaded = load_base_model(base, plan) if model is None else load_trained_model(model, base, plan)
    return Loaded(loaded.eval(), load_tokenizer(base if model is None else model), plan)

"""A model that is loaded: what every stage that asks one shares."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.kinds import body_kind
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.prompts import PromptEncoder
from pipestill.settings.jobs import ModelSettings
from pipestill.settings.prompts import Prompt
from pipestill.text.context import NO_CONTEXT, Context

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode.

    Attributes:
        model: of transformers or peft.
        tokenizer: of the model.
        plan: how it was loaded.
        context: that stands before every prompt.
    """

    model: Any
    tokenizer: "PreTrainedTokenizerBase"
    plan: HardwarePlan
    context: Context = NO_CONTEXT

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

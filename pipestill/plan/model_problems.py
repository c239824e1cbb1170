"""What is asked of models that are on this machine and cannot do it."""

from collections.abc import Collection, Iterator
from functools import cache

from pipestill.errors import shortened
from pipestill.methods import TEACHER_NAME
from pipestill.plan.model_files import ModelFiles
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.shares import origin
from pipestill.settings.annotation import RATIONALE


class ModelProblems:
    """Problems with the models of planned jobs.

    Args:
        plan: of the configuration.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.files = cache(self._files)

    def __call__(self, needs: Needs) -> list[str]:
        """Sentences, each once."""
        trainings = [(origin(study), method) for study, method in needs.trainings]
        asked = [*trainings, *((origin(study), method) for study, method in needs.predictions)]
        found = [
            *(problem for name in needs.models for problem in self._kind(name)),
            *(problem for study, method in asked for problem in self._length(study, method)),
            *(problem for study, method in trainings for problem in self._adapter(study, method)),
            *(problem for study, method in trainings for problem in self._biases(study, method)),
            *(problem for study, method in trainings for problem in self._teacher(study, method)),
            *(problem for task in needs.annotations for problem in self._annotator(task)),
            *(problem for study in needs.bertscores for problem in self._layer(study)),
        ]
        return list(dict.fromkeys(found))

    def _files(self, name: str) -> ModelFiles:
        return ModelFiles(self.plan.config.models[name].locate(self.plan.root))

    def _kind(self, name: str) -> Iterator[str]:
        found, said = self.files(name).kind, self.plan.config.models[name].kind
        if found not in (None, said):
            yield f"models.{name}.kind: `{said}`, but the model's config.json describes a `{found}` model; set that"

    def _length(self, study: str, method: str) -> Iterator[str]:
        """Prompts and answers that are longer than the positions of who reads them."""
        objective, resolved = self.plan.entry(study, method).objective, self.plan.training(study, method)
        taught = objective is not None and (objective.online(resolved.options) or objective.cached(resolved.options))
        length, answer = resolved.training.max_length, self.plan.asking(study, method).max_new_tokens
        for reader in dict.fromkeys((method, *([TEACHER_NAME] if taught else []))):
            name = self.plan.base_model(study, reader)
            apart = self.plan.config.models[name].kind == "seq2seq"  # encoder and decoder count for themselves
            positions, read = self.files(name).positions, max(length - answer, answer) if apart else length
            if positions is not None and read > positions:
                yield (
                    f"studies.{study}: `{method}` has `max_length` {length}, but `{name}` reads {positions} tokens at "
                    "most; lower `training.max_length`"
                )

    def _adapter(self, study: str, method: str) -> Iterator[str]:
        training, name = self.plan.training(study, method).training, self.plan.base_model(study, method)
        modules = self.files(name).modules
        if training.adaptation != "lora" or training.lora.target_modules == "auto" or not modules:
            return
        lacking = [target for target in training.lora.target_modules if not _among(target, modules)]
        if lacking:
            there = shortened(", ".join(sorted({module.rpartition(".")[2] for module in modules})))
            yield (
                f"studies.{study}: `training.lora.target_modules` names `{shortened(lacking[0])}` for `{method}`, and "
                f"`{name}` has none, but {there}; name linear layers, or `auto`"
            )

    def _biases(self, study: str, method: str) -> Iterator[str]:
        name = self.plan.base_model(study, method)
        if self.plan.training(study, method).training.adaptation == "biases" and self.files(name).biased is False:
            yield (
                f"studies.{study}: `{method}` trains nothing but biases, and `{name}` has none; leave the method out, "
                "set another `adaptation`, or name a model with biases (BERT, OPT, GPT-2, Qwen2)"
            )

    def _teacher(self, study: str, method: str) -> Iterator[str]:
        """Tokens that student and teacher do not share, and more of them than there are."""
        objective, resolved = self.plan.entry(study, method).objective, self.plan.training(study, method)
        distributions = self.plan.study(study).distributions
        over_classes = distributions.over_classes and objective.cached(resolved.options)
        taught = self.plan.learns_from_teacher(study, method) or not objective.cached(resolved.options)
        if method == TEACHER_NAME or not objective.shares_tokens or over_classes or not taught:
            return
        names = [self.plan.base_model(study, each) for each in (method, TEACHER_NAME)]
        ours, theirs = (self.files(name).vocabulary for name in names)
        if ours is not None and theirs is not None and ours != theirs:
            yield (
                f"studies.{study}.methods: `{method}` compares `{names[0]}` with `{names[1]}` token by token, and they "
                "have different vocabularies; use `kd` or `uld`, or models with one tokenizer"
            )
        kept = distributions.told().get("k", 0)
        if ours is not None and objective.cached(resolved.options) and kept > len(ours):
            yield f"studies.{study}.distributions.k: {kept} is more than the {len(ours)} tokens there are; lower it"

    def _annotator(self, task: str) -> Iterator[str]:
        annotation = self.plan.config.tasks[task].annotation
        if annotation.provider != "local":
            return
        positions = self.files(annotation.model).positions
        (asked,) = (step.max_tokens for step in annotation.steps if step.out == RATIONALE)
        if positions is not None and asked >= positions:
            yield (
                f"tasks.{task}.annotation.steps: `max_tokens` {asked} leaves no room for a question, since "
                f"`{annotation.model}` reads {positions} tokens at most; lower it"
            )

    def _layer(self, study: str) -> Iterator[str]:
        settings = self.plan.study(study).answers.bertscore
        layers = self.files(settings.encoder).layers
        if layers is not None and settings.layer > layers:
            yield (
                f"studies.{study}.answers.bertscore.layer: `{settings.encoder}` has {layers} layers; give 0 to {layers}"
            )


def _among(target: str, modules: Collection[str]) -> bool:
    return any(module == target or module.endswith(f".{target}") for module in modules)

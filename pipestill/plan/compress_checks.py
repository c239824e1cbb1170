"""Checks of compressed students; every message names the key to change."""

from pathlib import Path

from pipestill.errors import UserError, shortened
from pipestill.methods import BASE, METHODS
from pipestill.plan.compress import FROM, CompressConfig
from pipestill.plan.compressible import check
from pipestill.plan.config import Config, StudyConfig
from pipestill.plan.model_files import ModelFiles
from pipestill.plan.resolve import resolve_hardware, resolve_training


def check_compress(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse compressed students that cannot be made.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    for name, compressed in study.compress.items():
        where = f"{path}.compress.{name}"
        _check_parent(config, where, study, compressed)
        _check_rate(config, where, study, compressed)
        if path.partition(".")[2] in config.run:
            _check_adapter(config, where, study, compressed.parent)
        _check_recovery(where, study, compressed)


def check_compressible(config: Config, root: Path) -> None:
    """Refuse what the students that are on this machine cannot have.

    Args:
        config: checked.
        root: directory of the project, where shipped models are found.

    Raises:
        UserError: begins with the path of a wrong key.
    """
    for name, study in config.studies.items():
        found = ModelFiles(config.models[study.student].locate(root)).config if study.compress else {}
        for row, compressed in study.compress.items() if found else ():
            try:
                check(found, compressed.prune, compressed.quantize)
            except UserError as error:
                raise UserError(f"config: studies.{name}.compress.{row}: {error}") from None


def _check_parent(config: Config, where: str, study: StudyConfig, compressed: CompressConfig) -> None:
    """Refuse a parent that the study has not, or whose model is more than a language model with its own weights."""
    parent = compressed.parent
    trained = [method for method in study.methods if METHODS[method].trains]
    if parent not in (BASE, *trained):
        there, row = ", ".join((BASE, *trained)), where.rpartition(".compress.")[2]
        added = ", add it to `methods`" if parent in METHODS and METHODS[parent].trains else ""
        raise ValueError(
            f"{where}.{FROM}: `{shortened(parent)}` is no student that the study trains ({there}); name one of them"
            f"{added}, or say `{row}: null` (or `compress: null`: no row at all) if an overlay is to leave "
            "it out"
        )
    if parent == BASE:
        return
    objective, resolved = METHODS[parent].objective, resolve_training(config.training, study, parent)
    if objective.labels(config.task(study.task).answers):
        raise ValueError(f"{where}.{FROM}: `{parent}` has a head for labels in place of words; compress another one")
    if objective.explains(resolved.options):
        raise ValueError(f"{where}.{FROM}: `{parent}` writes rationales; compress another one")


def _check_adapter(config: Config, where: str, study: StudyConfig, parent: str) -> None:
    """Refuse a parent that is an adapter on weights in 4 bits, or may be."""
    resolved, hardware = resolve_training(config.training, study, parent), resolve_hardware(config.hardware, study)
    if parent != BASE and resolved.training.adaptation == "lora" and not hardware.whole:
        raise ValueError(
            f"{where}.{FROM}: `{parent}` is an adapter on weights that may be held in 4 bits, into which it cannot be "
            "merged exactly; set `hardware.quantization: none`, and it is merged first, or `adaptation: full` for "
            f"`{parent}`"
        )


def _check_rate(config: Config, where: str, study: StudyConfig, compressed: CompressConfig) -> None:
    """Refuse a recovery at the learning rate of a few biases, which is far too high for all weights."""
    training = resolve_training(config.training, study, compressed.origin).training
    if training.adaptation == "biases" and compressed.training and compressed.training.learning_rate is None:
        raise ValueError(
            f"{where}.recover.learning_rate: recovery trains all weights, and the rate of `{compressed.origin}` "
            f"({training.learning_rate:g}) is that of its biases; set one"
        )


def _check_recovery(where: str, study: StudyConfig, compressed: CompressConfig) -> None:
    """Refuse a recovery from a teacher that there is not."""
    recover = compressed.recover
    if recover is None:
        return
    if recover.learns.teacher and study.teacher is None:
        raise ValueError(f"{where}.recover.objective: the study has no teacher; use `cross_entropy` or `self`")
    if recover.learns.parent and compressed.parent == BASE:
        raise ValueError(f"{where}.recover.objective: the untrained student has nothing to teach; use `cross_entropy`")

"""Studies at a share of their training rows, which a learning curve is drawn through.

They are what ``<study>@<percent>`` names: names in a configuration hold no ``@``, so these are always derived.
"""

from pipestill.plan.config import Config, percent


def at_share(study: str, share: float) -> str:
    """Name of a study at a share of its training rows: ``creditmix@25``; of all of them, the study's own."""
    return study if share == 1 else f"{study}@{percent(share)}"


def origin(study: str) -> str:
    """The study that one at a share is derived from, whose teacher it has; a study of the configuration is its own."""
    return study.partition("@")[0]


def with_shares(config: Config) -> Config:
    """A checked configuration with each study at every share of its learning curve as well; ``run`` is as it was."""
    studies = {
        at_share(name, share): study.model_copy(update={"train_share": study.train_share * share})
        for name, study in config.studies.items()
        for share in study.learning_curve
    }
    return config.model_copy(update={"studies": studies})

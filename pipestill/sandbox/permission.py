"""Whether programs of a model may run at all."""

from collections.abc import Mapping

from pipestill.errors import UserError


def check_permission(allowed: bool, elsewhere: Mapping[str, str], key: str) -> None:
    """Refuse to run programs of models that others made, unless the configuration allows it.

    Args:
        allowed: What the configuration says.
        elsewhere: Keys of models that this pipeline did not make, and the models' names.
        key: The key that allows it.

    Raises:
        UserError: it does not.
    """
    if elsewhere and not allowed:
        where, name = next(iter(elsewhere.items()))
        raise UserError(
            f"{where}: programs of the model {name}, which comes from elsewhere, would run on this machine: "
            f"set {key}: true to allow it (docs/sandbox.md says what keeps them in)"
        )

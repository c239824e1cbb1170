"""The one exception for mistakes that a user can mend."""


class UserError(Exception):
    """Bad input, configuration or environment: one sentence with the fault, its place and the remedy."""

    exit_code = 1

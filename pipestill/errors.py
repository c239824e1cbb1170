"""The one exception for mistakes that a user can mend."""


class UserError(Exception):
    """Bad input, configuration or environment: one sentence that says what is wrong, where, and what to do."""

    exit_code = 1

"""Running solutions with their tests in the sandbox."""


class Judge:
    """Stub."""

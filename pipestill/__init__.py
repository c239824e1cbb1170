"""pipestill: a reproducible pipeline that distils large language models into small ones and compares the ways."""

__version__ = "0.1.0"

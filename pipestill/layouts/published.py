"""Public data sets that the project knows by name: ``resources/datasets.yaml``."""

from functools import cache
from pathlib import Path
from typing import Any

LISTING = Path(__file__).resolve().parents[2] / "resources" / "datasets.yaml"


@cache
def published_datasets() -> dict[str, dict[str, Any]]:
    """Facts about each data set: ``title``, ``homepage``, ``licence``, ``url``, ``use`` and, if known, ``sha256``."""
    import yaml

    return yaml.safe_load(LISTING.read_text(encoding="utf-8"))

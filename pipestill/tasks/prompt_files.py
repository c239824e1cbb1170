"""Prompts that come with the project: ``resources/prompts/``."""

from pathlib import Path

from pipestill.settings.prompts import Prompt

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "prompts"


def read_prompts(name: str) -> dict[str, Prompt]:
    """The prompts of ``<name>.yaml``, by name."""
    import yaml

    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: Prompt.model_validate(entry) for key, entry in content.items()}

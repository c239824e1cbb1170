"""Provide one base model: copy or download it, convert and align it, and write its checksums."""

import argparse
import json

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.io.digests import ROOT
from pipestill.job.script import run, writes
from pipestill.models.provide import provide_base_model
from pipestill.settings.models import BaseModelConfig


def main() -> None:
    """Parse the command line and provide the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="the model's entry of the configuration, as JSON")
    parser.add_argument("--name", required=True, help="the model's name in the configuration")
    parser.add_argument("--output", required=True, type=writes, help="directory to make")
    arguments = parser.parse_args()
    try:
        config = BaseModelConfig.model_validate(json.loads(arguments.model))
    except (json.JSONDecodeError, ValidationError) as error:
        raise UserError(f"models.{arguments.name}: {error}") from None
    if directory := config.locate(ROOT):
        config = config.model_copy(update={"path": str(directory)})  # shipped models lie in the project
    try:
        provide_base_model(config, arguments.output)
    except UserError as error:
        raise UserError(f"models.{arguments.name}: {error}") from error


if __name__ == "__main__":
    run(main, heavy=True)

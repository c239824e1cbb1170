"""Write the merged and checked configuration as YAML; of addresses, what may be written anywhere."""

import argparse
import json

import yaml

from pipestill.io.files import write_text
from pipestill.job.script import run, writes
from pipestill.text.credentials import publish


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="JSON object: the configuration")
    parser.add_argument("--output", type=writes, required=True, help="YAML file to write")
    args = parser.parse_args()
    write_text(args.output, yaml.safe_dump(publish(args.config), sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    run(main)

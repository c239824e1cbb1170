"""Training jobs one after the other in this process: a file has a list of their scripts and options. Where several
processes do the same, they join for each."""

import json
import os
import runpy
import sys
from pathlib import Path


def main():
    """Run them to the end."""
    told = dict(os.environ)
    for number, (script, *arguments) in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        os.environ.update(told, TORCHELASTIC_RESTART_COUNT=str(number))  # each has a place of its own to meet
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()

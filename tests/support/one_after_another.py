"""Training jobs one after the other in this process, or in each of several: a file lists the ports where the processes
meet for each job, its script and its options."""

import json
import os
import runpy
import sys
from pathlib import Path


def main():
    """Run them to the end."""
    told = dict(os.environ)
    for port, *arguments in json.loads(Path(sys.argv[1]).read_text()):
        sys.argv = arguments
        os.environ.update(told, MASTER_PORT=str(port))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()

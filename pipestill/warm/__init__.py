"""Warm jobs: scripts of a local run begin in a copy of a process that has imported torch and transformers already.

Their imports take three seconds of a processor, which is most of a small job. A *nursery* (:mod:`.nursery`) imports
once. Jobs are still a process each: their ``python`` asks the nursery for a fork of itself (:mod:`.ask`), which runs
the script with the same arguments, directory, environment and files. Snakemake's benchmarks see the asker alone, so
of jobs that start warm they have the wall time but not the memory and processor time; the costs in the results are
those of the job itself.
"""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "workflow_scripts"
PLACE = "PIPESTILL_WARM"  # the variable that names the directory of a nursery
ADDRESS = "address"  # of the nursery's socket, in a directory that only its user can enter
READY = "ready"  # a file beside it, once all is imported and jobs may begin


def python_directory() -> Path:
    """Directory of the ``python`` that runs the scripts of this workflow: the warm one, where there is one."""
    warmed = os.environ.get(PLACE, "")
    return Path(warmed) if warmed and Path(warmed, "python").exists() else Path(sys.executable).parent


def reason_against() -> str | None:
    """Why jobs of this machine cannot be copies of a process, if so."""
    if sys.platform != "linux":
        return "only Linux copies a process that has threads and libraries safely"
    if Path("/dev/nvidiactl").exists():
        return "a GPU does not follow a process into its copies"
    return None


@contextmanager
def warm(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Within this context a workflow that has ``environment`` starts its scripts warm, by :func:`python_directory`.

    The nursery and its jobs end with the context, or with this process.

    Args:
        environment: changed, and put back in the end; for example ``os.environ``.
    """
    with tempfile.TemporaryDirectory(prefix="pipestill-") as directory:
        shim = Path(directory, "python")
        words = [sys.executable, "-I", "-S", str(HERE / "ask.py"), directory, str(SCRIPTS)]
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        shim.chmod(0o700)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(Path(directory, ADDRESS)))
            listener.listen(128)  # those who come during the imports wait
            nursery = subprocess.Popen(
                [sys.executable, "-m", "pipestill.warm.nursery", str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,  # its end tells the nursery that this process has gone
                stdout=subprocess.DEVNULL,  # advice of libraries; without a nursery jobs start as ever
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C is for those who ask
            )
        environment[PLACE] = directory
        try:
            yield
        finally:
            del environment[PLACE]
            nursery.stdin.close()
            if not Path(directory, READY).exists():  # it still imports, for a workflow that began no job
                nursery.kill()
            nursery.wait()

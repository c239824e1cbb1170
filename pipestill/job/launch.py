"""Starts a script for each device of a job: ``python -m pipestill.job.launch --nodes N --devices N SCRIPT ...``.

torchrun does it. What fails ends all, in one sentence, whichever process finds it, and with that process's exit code.

Several machines (nodes) need one call each, and a place where these meet. In a job of Slurm one call suffices, which
starts the others by ``srun``. Elsewhere ``PET_RDZV_ENDPOINT``, a variable of torchrun, names the place, ``HOST:PORT``.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import UserError, first_line
from pipestill.io.files import read_json
from pipestill.job.script import tell

MEETING = "PET_RDZV_ENDPOINT"
JOB = ("SLURM_JOB_ID", "SLURM_CONF")  # what srun needs; the rest is of this step, which has one machine
PORTS = range(20_000, 30_000)  # below those that systems give out themselves


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the script, and wait for its end; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1, help="machines")
    parser.add_argument("--devices", type=int, required=True, help="devices of each")
    parser.add_argument("--host", help="of the calls that srun makes: name of the machine where they meet")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="SCRIPT ...", help="script and its options")
    args = parser.parse_args(arguments)
    try:
        meeting = ["--standalone"] if args.nodes == 1 else ["--rdzv-backend", "c10d", *_meeting(args)]
    except UserError as error:
        tell(error)
        return error.exit_code
    processes = ["--nnodes", str(args.nodes), "--nproc-per-node", str(args.devices), "--virtual-local-rank"]
    with tempfile.TemporaryDirectory() as logs:
        return _torchrun([*meeting, *processes, "--log-dir", logs, *args.command], Path(logs))


def _meeting(args: argparse.Namespace) -> list[str]:
    """Options of torchrun on where the calls meet. Of a call by Slurm that has made no others yet it never returns.

    Raises:
        UserError: nothing says where.
    """
    if os.environ.get(MEETING):
        return []
    job, here = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURMD_NODENAME")
    if job is None or here is None:
        raise UserError(
            f"hardware.nodes: {args.nodes} machines are asked for outside of a job of Slurm: lower it, or make this "
            f"call on each machine with {MEETING}=HOST:PORT, a free port on one of them"
        )
    if args.host is None:
        kept = {name: value for name, value in os.environ.items() if name in JOB or not name.startswith("SLURM_")}
        one_each = ["--overlap", f"--nodes={args.nodes}", f"--ntasks={args.nodes}", "--ntasks-per-node=1"]
        cores = os.environ.get("SLURM_CPUS_PER_TASK")  # of this step; another one would have a single core
        one_each += [f"--cpus-per-task={cores}"] if cores else []
        call = [f"--nodes={args.nodes}", f"--devices={args.devices}", f"--host={here}", *args.command]
        os.execvpe("srun", ["srun", *one_each, sys.executable, "-m", "pipestill.job.launch", *call], kept)
    step = os.environ["SLURM_STEP_ID"]
    port = PORTS[(int(job) * 100 + int(step)) % len(PORTS)]
    place = ["--rdzv-endpoint", f"{os.environ['SLURM_LAUNCH_NODE_IPADDR']}:{port}", "--rdzv-id", f"{job}.{step}"]
    return [*place, "--rdzv-conf", f"is_host={int(here == args.host)}"]


def _torchrun(options: list[str], logs: Path) -> int:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    logging.disable(logging.ERROR)  # of ends torchrun has more lines than there are facts
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the imports; a job sets its own
    try:
        run.run(run.parse_args(options))
    except ChildFailedError as error:
        ends = [(rank, failure.exitcode) for rank, failure in error.failures.items()]
        return _told(logs) or _ended(ends)
    except RendezvousError as error:
        tell(UserError(f"the calls on the machines of this job do not meet: {first_line(error)}"))
        return UserError.exit_code
    except SignalException as error:
        return _told(logs) or 128 + error.sigval
    return 0


def _told(logs: Path) -> int:
    """Show the first mistake that a process has told of; its exit code, or 0."""
    found = [read_json(path) for path in logs.rglob("error.json")]
    if not found:
        return 0
    first = min(found, key=lambda each: each["timestamp"])
    print(first["message"], file=sys.stderr)
    return first["exit_code"]


def _ended(ends: list[tuple[int, int]]) -> int:
    """The exit code of those that told of none, in one sentence where they could not."""
    killed = [(rank, -code) for rank, code in ends if code < 0 and code != -signal.SIGTERM]
    if not killed:
        return next((code for _, code in ends if code > 0), 128 + signal.SIGTERM)
    rank, number = killed[0]
    name = signal.Signals(number).name
    tell(
        UserError(f"process {rank} of this job was ended by {name}: repeat the call, which goes on where it was saved")
    )
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())

"""A Slurm cluster of this machine alone: daemons on the loopback device, which are started and stopped here."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
CPUS, MEMORY_MB = 16, 200_000  # of each node; Slurm only counts them: the machine need not have them
GPUS = {"a": "/dev/null,/dev/zero", "b": "/dev/null"}  # devices of its GPUs, which are none
CONFIGURATION = """\
ClusterName=pipestill
SlurmctldHost=localhost
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
MailProg=/bin/true
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=5
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool-%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=0
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
MinJobAge=3600
KillWait=2
GresTypes=gpu
NodeName=DEFAULT CPUs={cpus} RealMemory={memory} State=UNKNOWN
"""


def said(*command: str) -> str:
    """What one of Slurm's commands prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def answers() -> bool:
    """Whether the commands of this environment find a controller that answers."""
    found = subprocess.run(["scontrol", "ping"], capture_output=True, text=True)
    return found.returncode == 0 and " is UP" in found.stdout


def partitions() -> set[str]:
    """Names of the partitions that jobs can be submitted to."""
    return set(said("sinfo", "--noheader", "--format", "%R").split())


def states(node: str = "") -> set[str]:
    """States that a node, or all nodes, are in; none while no controller answers."""
    command = ["sinfo", "--noheader", "--format", "%T"] + (["--nodes", node] if node else [])
    found = subprocess.run(command, capture_output=True, text=True)
    return set(found.stdout.split())


def jobs(run: str) -> list[dict[str, str]]:
    """What Slurm knows of the jobs of a run of Snakemake, in the order of submission.

    Args:
        run: the run's identity, which its jobs are named after.
    """
    found = []
    for line in said("scontrol", "--oneliner", "show", "jobs").splitlines():
        job = dict(word.split("=", 1) for word in line.split(" ") if "=" in word)
        if job.get("JobName") == run:
            found.append(job)
    return sorted(found, key=lambda job: int(job["JobId"]))


def until(holds, what: str, seconds: float = 900):
    """The first true value of ``holds()``, asked for again and again; fails after a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = holds()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"after {seconds} s still not: {what}")


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class OneMachine:
    """The daemons of a cluster of this machine alone.

    Args:
        directory: for all that they write; nothing lies elsewhere.
        partitions: names of its partitions.
    """

    def __init__(self, directory: Path, partitions: set[str]):
        self.directory = directory
        self.daemons: dict[str, subprocess.Popen] = {}
        controller_port, *node_ports = _free_ports(1 + len(GPUS))
        text = CONFIGURATION.format(
            directory=directory,
            controller_port=controller_port,
            user=pwd.getpwuid(os.getuid()).pw_name,
            cpus=CPUS,
            memory=MEMORY_MB,
        )
        gres = ""
        for (node, devices), port in zip(GPUS.items(), node_ports, strict=True):
            text += f"NodeName={node} NodeAddr=127.0.0.1 Port={port} Gres=gpu:{len(devices.split(','))}\n"
            gres += f"NodeName={node} Name=gpu File={devices}\n"
        for name in sorted(partitions):
            text += f"PartitionName={name} Nodes={','.join(GPUS)} MaxTime=INFINITE State=UP\n"
        self.configuration = directory / "slurm.conf"
        self.configuration.write_text(text)
        (directory / "gres.conf").write_text(gres)
        (directory / "state").mkdir()
        (directory / "munge.key").write_bytes(os.urandom(1024))
        (directory / "munge.key").chmod(0o400)

    def environment(self) -> dict[str, str]:
        """What commands need to find it.

        Jobs of Snakemake call ``srun`` without Slurm's variables, for which clusters have /etc/slurm: a program of that
        name stands in its place on the path, and puts the variable back.
        """
        programs = self.directory / "bin"
        programs.mkdir(exist_ok=True)
        srun = programs / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.configuration} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        return {"SLURM_CONF": str(self.configuration), "PATH": f"{programs}:{os.environ['PATH']}"}

    def start(self) -> None:
        """Start the daemons, and wait until the node takes jobs."""
        files = ("key-file", "munge.key"), ("socket", "munge.socket"), ("pid-file", "munged.pid"), ("seed-file", "seed")
        options = [f"--{name}={self.directory / file}" for name, file in files]
        log = f"--log-file={self.directory / 'munged.log'}"
        self._daemon("munged", "--foreground", "--force", *options, log)
        until((self.directory / "munge.socket").exists, "munged listens", 30)
        self._daemon("slurmctld", "-D", "-c", "-f", self.configuration)
        for node in GPUS:
            self._start_node(node)
        until(lambda: states() == {"idle"}, f"the nodes are idle: see {self.directory}/slurm*.log", 60)

    def _start_node(self, node: str) -> None:
        self._daemon("slurmd", "-D", "-f", self.configuration, "-N", node, name=node)

    def _daemon(self, program: str, *options: object, name: str = "") -> None:
        name = name or program
        with open(self.directory / f"{name}.out", "w") as log:
            self.daemons[name] = subprocess.Popen(
                [program, *map(str, options)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def fail(self, node: str) -> None:
        """Let a node fail: nothing of it is left, nor of the jobs that it runs, and the controller takes notice."""
        places = (self.directory / f"spool-{node}").glob(f"{node}_*.*")  # sockets, named after steps
        jobs = {path.name.removeprefix(f"{node}_").split(".")[0] for path in places}
        ends = [psutil.Process(self.daemons[node].pid)]
        for process in psutil.process_iter(["cmdline"]):
            title = " ".join(process.info["cmdline"] or [])
            if any(title.startswith(f"slurmstepd: [{job}.") for job in jobs):
                ends += [process, *process.children(recursive=True)]
        for process in ends:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.daemons[node].wait()
        said("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def mend(self, node: str) -> None:
        """Let a node that has failed work again."""
        self._start_node(node)
        said("scontrol", "update", f"NodeName={node}", "State=RESUME")
        until(lambda: states(node) == {"idle"}, f"node {node} is idle", 60)

    def stop(self) -> None:
        """Cancel what runs and stop the daemons."""
        if answers():
            subprocess.run(["scancel", "--user", str(os.getuid())])
            until(lambda: not said("squeue", "--noheader"), "no job runs any more", 60)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            daemon.wait(timeout=30)

"""Kill runs of the smoke preset at random moments, repeat the command, and compare with a run that was left alone.

    python benchmarks/kills.py DIRECTORY [--kills 30] [--seed 0] [--target all]

Kills (SIGKILL) a job, Snakemake, the whole session, or the server of the local annotator. A run that ends before all
kills are done is compared, and another one begins. Prints a line for each kill; exits with 1 where anything differs.
DIRECTORY/whole keeps the run that is left alone.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.kills import SAME, compared, is_same
from support.smoke import command

REPORT = "report/comparisons.csv"
VICTIMS = ("job", "snakemake", "session")
START = 3.0  # seconds in which Snakemake reads its rules
PATIENCE = 10.0  # seconds that a job is waited for
SERVERS = 3  # kills of the server, which is there for a short time only: the first chances are taken


class Run:
    """A run of the workflow in a session of its own."""

    def __init__(self, directory: Path, target: str):
        self.log = open(directory / "run.log", "a")  # noqa: SIM115 (open as long as the run)
        arguments = command(directory, target)
        self.process = subprocess.Popen(
            arguments, cwd=directory, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def descendants(self, word: str) -> list[psutil.Process]:
        """Processes of the run whose command line has ``word``."""
        found = []
        with suppress(psutil.Error):  # the run has just ended
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):  # that child has
                    arguments = child.cmdline()
                    if arguments and "python" in arguments[0] and any(word in part for part in arguments[1:3]):
                        found.append(child)
        return found

    def wait_for(self, word: str, draw: random.Random) -> psutil.Process | None:
        """One of :meth:`descendants`, once there is one; none if the run ends or it takes too long."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := self.descendants(word):
                return draw.choice(found)
            time.sleep(0.05)
        return None

    def lasts(self, seconds: float, look_out: bool) -> str | None:
        """Wait for ``seconds``, the end, or the server where it is looked out for, which is said."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if look_out and self.descendants("model_server"):
                return "server"
            time.sleep(0.2)
        return None

    def kill(self, victim: str, draw: random.Random) -> str | None:
        """Kill, and say what; none where there was nothing to kill."""
        if self.process.poll() is not None:
            return None
        if victim == "session":
            os.killpg(self.process.pid, signal.SIGKILL)
            return "session"
        if victim == "snakemake":
            self.process.kill()
            return "snakemake"
        words = {"job": "workflow_scripts", "server": "model_server"}
        process = self.wait_for(words[victim], draw)
        if process is None:
            return None
        try:
            name = next(Path(part).stem for part in process.cmdline() if words[victim] in part)
            time.sleep(draw.uniform(0, 2))
            process.kill()
        except psutil.Error:  # it has just ended
            return None
        return f"{victim} {name}"


def differences(whole: Path, other: Path) -> tuple[int, list[Path]]:
    """How many files are compared, and those that differ."""
    paths = [path for pattern in (*SAME, REPORT) for path in compared(whole, pattern)]
    return len(paths), [path for path in paths if not is_same(whole, other, path)]


def finish(directory: Path, target: str) -> float:
    """Run to the end; seconds that it took."""
    start, run = time.monotonic(), Run(directory, target)
    if run.process.wait():
        sys.exit(f"the run in {directory} failed: see {directory / 'run.log'}")
    return time.monotonic() - start


def kill_until_it_ends(
    directory: Path, target: str, spread: float, draw: random.Random, kills: int, servers: int
) -> Iterator[str]:
    """Start a run again and again, killing at most ``kills`` times; a sentence for each kill.

    Args:
        directory: of the run.
        target: what it makes.
        spread: seconds after Snakemake's start within which it is killed.
        draw: of moments and victims.
        kills: how many there may be.
        servers: kills among them that wait for the server.
    """
    while kills:
        run, start = Run(directory, target), time.monotonic()
        victim = run.lasts(START + draw.uniform(0, spread), servers > 0) or draw.choice(VICTIMS)
        killed = None
        while killed is None and run.process.poll() is None:  # a job may end before it is killed
            killed = run.kill(victim, draw)
            victim = draw.choice(VICTIMS)
        if killed:
            code = run.process.wait()
            kills, servers = kills - 1, servers - killed.startswith("server")
            yield f"{time.monotonic() - start:6.1f} s  {killed:<40}  exit {code}"
        elif run.process.wait() == 0:
            return
        else:
            sys.exit(f"the run in {directory} failed without a kill: see {directory / 'run.log'}")


def main() -> None:
    """Parse the command line, kill and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="an empty directory, or one of an earlier call")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of moments and victims")
    parser.add_argument("--target", default="all", help="what the runs make")
    parser.add_argument("--spread", type=float, help="seconds within which a run is killed (default: as the run takes)")
    args = parser.parse_args()
    draw, whole = random.Random(args.seed), args.directory.resolve() / "whole"
    whole.mkdir(parents=True, exist_ok=True)
    took = finish(whole, args.target)
    print(f"left alone: {took:.0f} s", flush=True)
    spread, left, number, failed = args.spread or min(2 / args.kills, 0.5) * took, args.kills, 0, False
    servers = SERVERS
    while left:
        number += 1
        directory = args.directory.resolve() / f"killed_{args.seed}_{number}"
        directory.mkdir()
        for line in kill_until_it_ends(directory, args.target, spread, draw, left, servers):
            left, servers = left - 1, servers - ("server" in line)
            print(line, flush=True)
        finish(directory, args.target)
        count, differing = differences(whole, directory)
        print(
            f"run {number}: {count - len(differing)} of {count} files are the same", *differing, sep="\n  ", flush=True
        )
        failed |= bool(differing) or not count
    sys.exit(int(failed))


if __name__ == "__main__":
    main()

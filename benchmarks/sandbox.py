"""Programs a second in the sandbox's warm processes, and in a fresh interpreter each.

Both run the same programs with the same assertions, ``--workers`` at a time, on the same machine in turn. The fresh
interpreter has no measures at all but a time limit: it is what the sandbox's start-up cost is compared with.

    python benchmarks/sandbox.py [--programs 200] [--workers 2]
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from machine import processor

from pipestill.sandbox import Asserts, Limits, Program, Sandbox

SOURCE = """import math
from collections import Counter

def f{number}(values):
    counts = Counter(values)
    return sorted(value + {number} for value in counts if math.gcd(value, 6) == 1)
"""


def programs(count: int) -> list[Program]:
    """Programs, each with three assertions."""
    made = []
    for number in range(count):
        cases = ([1, 5, 5, 6, 7], [2, 4], [25, 35, 1])
        expected = ([1, 5, 7], [], [1, 25, 35])
        tests = tuple(
            f"assert f{number}({case}) == {[value + number for value in values]}"
            for case, values in zip(cases, expected, strict=True)
        )
        made.append(Program(SOURCE.format(number=number), Asserts(tests)))
    return made


def fresh(program: Program) -> bool:
    """Whether a program passes in an interpreter of its own."""
    code = "\n".join((program.source, *program.tests.statements))
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], timeout=60, check=False).returncode == 0


def main() -> None:
    """Measure in turn, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="programs at a time (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each side (default: %(default)s)")
    args = parser.parse_args()
    made = programs(args.programs)
    seconds = {"start": float("inf"), "sandbox": float("inf"), "fresh": float("inf")}
    start = time.perf_counter()
    with Sandbox(Limits(), workers=args.workers) as sandbox, ThreadPoolExecutor(args.workers) as pool:
        seconds["start"] = time.perf_counter() - start
        for _ in range(args.repetitions):
            start = time.perf_counter()
            assert all(result.passed for result in sandbox.run(made))
            seconds["sandbox"] = min(seconds["sandbox"], time.perf_counter() - start)
            start = time.perf_counter()
            assert all(pool.map(fresh, made))
            seconds["fresh"] = min(seconds["fresh"], time.perf_counter() - start)
        measures = sandbox.measures
    rates = {name: round(args.programs / seconds[name], 1) for name in ("sandbox", "fresh")}
    print(f"{processor()}, {args.programs} programs, {args.workers} at a time; measures: {', '.join(measures)}")
    print(f"start of the sandbox: {seconds['start']:.2f} s, once")
    print(f"sandbox:           {rates['sandbox']:8.1f} programs a second")
    print(f"fresh interpreter: {rates['fresh']:8.1f} programs a second")
    print(f"ratio:             {rates['sandbox'] / rates['fresh']:8.2f}")
    print(json.dumps({**rates, "workers": args.workers, "measures": measures}))


if __name__ == "__main__":
    main()

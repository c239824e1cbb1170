"""Sandboxes of tests: with all measures that the machine has, as in a container, and with the hook alone."""

from pipestill.sandbox import Asserts, Limits, Program, Sandbox

SPACES = ("mounts", "pids", "network", "ipc")
LAYERS = {
    "all": (),
    "no namespaces": (*SPACES, "user"),
    "hook": (*SPACES, "user", "seccomp", "landlock"),
}
LIMITS = Limits(cpu_seconds=1, wall_seconds=30, memory_mb=256, file_mb=2, output_kb=64, threads=8)


def sandbox(layer="all", limits=LIMITS, **options):
    """A sandbox with the measures of a layer."""
    return Sandbox(limits, without=LAYERS[layer], **{"workers": 2, **options})


def outcome(found, source, *statements):
    """The result of one program whose function ``f`` has to return 42."""
    tests = Asserts(statements or ("assert f() == 42",))
    return next(iter(found.run([Program(source, tests)])))

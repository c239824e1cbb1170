"""What one program may use."""

from dataclasses import dataclass

MB = 2**20
WALL_PER_CPU = 5  # waiting for a busy machine is no fault of the program


@dataclass(frozen=True)
class Limits:
    """Bounds on one program; its tests have the same ones in their own process.

    Attributes:
        cpu_seconds: Seconds of processor time.
        memory_mb: Address space, with that of the interpreter (about 60 MB), in MiB.
        file_mb: Size of a file, and of all files together where mounts are the sandbox's own, in MiB.
        output_kb: What a program may print, and the largest value that it may return, in KiB.
        threads: Threads at a time; other processes are never allowed.
    """

    cpu_seconds: int = 5
    memory_mb: int = 512
    file_mb: int = 16
    output_kb: int = 1024
    threads: int = 16

    @property
    def wall_seconds(self) -> float:
        """Seconds until a program that waits is stopped."""
        return self.cpu_seconds * WALL_PER_CPU

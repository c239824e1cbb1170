"""Make a compressed student of another one with one seed; to resume a killed job, repeat the command."""

from pipestill.job.script import run
from pipestill.settings.jobs import CompressionSettings
from pipestill.training.command import parse


def main() -> None:
    """Parse the command line and compress."""
    args, inputs, outputs = parse(__doc__, CompressionSettings)
    settings = args.settings
    if args.saves is not None:
        settings.training.training.saves = args.saves
    from pipestill.training.compress import Compression
    from pipestill.training.run import train

    train(settings.training, inputs, outputs, args.seed, args.threads, Compression(settings), args.strategy)


if __name__ == "__main__":
    run(main, heavy=True)

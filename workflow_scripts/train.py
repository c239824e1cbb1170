"""Train one model with one seed; to resume a killed job, repeat the command."""

from pipestill.job.script import run
from pipestill.settings.jobs import TrainingSettings
from pipestill.training.command import parse


def main() -> None:
    """Parse the command line and train."""
    args, inputs, outputs = parse(__doc__, TrainingSettings)
    settings = args.settings
    if args.saves is not None:
        settings.training.saves = args.saves
    from pipestill.training.run import train

    train(settings, inputs, outputs, args.seed, args.threads, strategy=args.strategy)


if __name__ == "__main__":
    run(main, heavy=True)

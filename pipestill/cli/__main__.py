"""`python -m pipestill.cli`."""

from pipestill.cli import main

if __name__ == "__main__":
    main()

"""The process that serves a model: ``transformers serve``, which ends when its parent does."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

TEXT_ONLY = '{"sanitize_control_tokens": true}'  # what stands in a document is text


def main() -> None:
    """Parse the command line, merge an adapter if there is one, and serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="model directory to serve, or to make of an adapter and its base")
    parser.add_argument("--adapter", type=Path, help="adapter to merge")
    parser.add_argument("--base", type=Path, help="base model of the adapter")
    parser.add_argument("--device", default="auto", help="device")
    parser.add_argument("--port", type=int, required=True, help="port of the loopback interface")
    args = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if args.adapter:
        merge(args.adapter, args.base, args.model)
    from transformers.cli.transformers import app

    from pipestill.models.loading import check_model

    check_model(args.model, f"model {args.model}")
    options = ["--chat-template-kwargs", TEXT_ONLY, "--device", args.device, "--host", "127.0.0.1"]
    app(["serve", str(args.model), *options, "--port", str(args.port)])


def merge(adapter: Path, base: Path, output: Path) -> None:
    """Write full weights: ``base`` with every merged ancestor and ``adapter``."""
    from pipestill.models.hardware import HardwarePlan
    from pipestill.models.loading import load_tokenizer, load_trained_model

    load_trained_model(adapter, base, HardwarePlan("cpu"), merge=True).save_pretrained(output)
    load_tokenizer(base).save_pretrained(output)


def _end_with_parent() -> None:
    """Wait until the other end of standard input is closed, which the kernel does for a parent that was killed."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()

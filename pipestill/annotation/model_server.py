"""The process that serves a model: ``transformers serve``, which ends when its parent does."""

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from pipestill.annotation.guard import Guard

TEXT_ONLY = '{"sanitize_control_tokens": true}'  # what stands in a document is text


def main() -> None:
    """Parse the command line, merge an adapter if there is one, and serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="model directory to serve, or to make of an adapter and its base")
    parser.add_argument("--adapter", type=Path, help="adapter to merge")
    parser.add_argument("--base", type=Path, help="base model of the adapter")
    parser.add_argument("--device", default="auto", help="device")
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of a socket that listens")
    args = parser.parse_args()
    key = key_from_parent()
    if args.adapter:
        from pipestill.models.merging import write_merged

        write_merged(args.adapter, args.base, args.model)
    _serve_on(socket.socket(fileno=args.socket), key)
    from transformers.cli.transformers import app
    from transformers.models.auto import tokenization_auto

    from pipestill.models.loading import check_model

    tokenization_auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS.clear()  # it splits as it did in training
    check_model(args.model, f"model {args.model}")
    app(["serve", str(args.model), "--chat-template-kwargs", TEXT_ONLY, "--device", args.device])


def key_from_parent() -> str:
    """The first line of standard input; from here on this process ends when the parent does."""
    key = sys.stdin.buffer.readline().decode().strip()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return key


def _serve_on(listening: socket.socket, key: str) -> None:
    """Have whatever uvicorn serves in this process served on ``listening``, behind a guard."""
    import uvicorn

    class Guarded(uvicorn.Server):
        def run(self, sockets: list[socket.socket] | None = None) -> None:
            self.config.app = Guard(self.config.app, key)
            super().run([listening])

    uvicorn.Server = Guarded


def _end_with_parent() -> None:
    """Wait until the other end of standard input is closed, which the kernel does for a parent that was killed."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()

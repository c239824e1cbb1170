"""Ask the nursery to run a script, and end as the script ends. What is no script of the workflow runs as ever.

This starts for every job: the standard library alone, without ``site``.

    ask.py DIRECTORY SCRIPTS SCRIPT ARGUMENTS...
"""

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Hand the command over, or become Python itself where nobody takes it."""
    directory, scripts, *command = sys.argv[1:]
    if command and os.path.dirname(os.path.abspath(command[0])) == scripts:
        nursery = socket.socket(socket.AF_UNIX)
        try:
            nursery.connect(os.path.join(directory, "address"))
        except OSError:
            nursery.close()
        else:
            follow(nursery, command)
    os.execv(sys.executable, [sys.executable, *command])


def follow(nursery: socket.socket, command: list[str]) -> None:
    """Send the command, pass signals on, and end as the script does."""
    for each in PASSED_ON:
        signal.signal(each, lambda number, frame: nursery.send(bytes([number])))
    request = json.dumps({"command": command, "directory": os.getcwd(), "environment": dict(os.environ)}).encode()
    socket.send_fds(nursery, [len(request).to_bytes(8, "big")], [0, 1, 2])
    nursery.sendall(request)
    answer = nursery.recv(4)
    if len(answer) < 4:  # the nursery has gone, and its jobs with it
        os.kill(os.getpid(), signal.SIGKILL)
    code = int.from_bytes(answer, "big", signed=True)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""A stand-in for the API of Kubernetes: each job that is created runs as a process of this machine.

It knows the requests of Snakemake's plugin alone. There are no pods, images or volumes: a job finds the paths and the
programs of this machine, and an empty working directory.
"""

import json
import os
import signal
import subprocess
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Cluster(ThreadingHTTPServer):
    """The API at work on a free port, once :meth:`start` was called.

    Args:
        directory: for working directories and logs of jobs, and the file that says where the API is.
        path: where jobs look for programs.

    Attributes:
        created: bodies of all jobs so far.
    """

    def __init__(self, directory: Path, path: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory, self.path = directory, path
        self.created: list[dict] = []
        self.secrets: dict[str, dict] = {}
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self) -> Path:
        """Answer requests from now on; the file for ``KUBECONFIG``."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        name = "stand-in"
        config = {
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": {}}],
        }
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def stop(self) -> None:
        """Answer no more, and end what still runs."""
        self.shutdown()
        self.server_close()
        for name in list(self.processes):
            self.end(name)

    def run(self, job: dict) -> None:
        """Run what the container of a job would."""
        name = job["metadata"]["name"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        environment = {"PATH": self.path, "HOME": str(self.directory)}
        for variable in container.get("env", []):
            reference = variable["valueFrom"]["secretKeyRef"]
            environment[variable["name"]] = self.secrets[reference["name"]][reference["key"]]
        work = self.directory / name
        work.mkdir()
        with open(self.directory / f"{name}.log", "w") as log:
            self.processes[name] = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=work,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.created.append(job)

    def status(self, name: str) -> dict:
        """How a job is doing."""
        code = self.processes[name].poll()
        return {"active": 1} if code is None else {"failed": 1} if code else {"succeeded": 1}

    def end(self, name: str) -> None:
        """End a job that still runs, as the deletion of its pod would."""
        process = self.processes[name]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Handler(BaseHTTPRequestHandler):
    """Requests of one connection."""

    server: Cluster

    def _body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def _answer(self, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Create a secret or a job."""
        body = self._body()
        if self.path.endswith("/secrets"):
            values = {key: b64decode(value).decode() for key, value in body.get("data", {}).items()}
            self.server.secrets[body["metadata"]["name"]] = values
        else:
            self.server.run(body)
        self._answer(body)

    def do_GET(self) -> None:
        """Say how a job is doing; of pods, that there are none."""
        parts = self.path.split("?")[0].split("/")
        if parts[-1] == "pods":
            self._answer({"items": []})
        else:
            self._answer({"metadata": {"name": parts[-2]}, "status": self.server.status(parts[-2])})

    def do_DELETE(self) -> None:
        """Forget a secret, or end a job."""
        self._body()
        name = self.path.split("?")[0].split("/")[-1]
        if name in self.server.processes:
            self.server.end(name)
        self._answer({"status": "Success"})

    def log_message(self, *args) -> None:
        """Write nothing."""

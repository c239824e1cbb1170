"""Two servers of one tree under a load of good and bad requests, one of which is told to end in the middle."""

import subprocess
import sys

from support.served import make_results
from support.workflow import ROOT


def test_a_load_of_all_kinds_loses_nothing(tmp_path):
    results = make_results(tmp_path / "results", creditmix={}, dolly={})
    command = [sys.executable, ROOT / "benchmarks/serving_load.py", "--results", results, "--requests", "240"]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "exit code 0" in ended.stdout

"""A job that captures distributions, killed and called again, gives the bytes of one that was not."""

import json
import signal
import time
from pathlib import Path

from safetensors.numpy import load_file

from pipestill.inference.answer_logits import AnswerLogits
from support.distributions import capture_one, settings, write_rows
from support.scripts import Script


def test_a_killed_job_goes_on_and_gives_the_same_bytes(tmp_path, tiny_model_dir, monkeypatch):
    data = write_rows(tmp_path / "rows.jsonl", 450, 1, words=40)  # eight files of finished rows
    base = tmp_path / "killed" / "shard_0"
    state = Path(f"{base}.safetensors.state")
    command = ["--settings", settings().model_dump_json(), "--data", data]
    command += ["--base", tiny_model_dir, "--student", tiny_model_dir, "--shard", 0, "--shards", 1, "--state", state]
    command += ["--output", f"{base}.safetensors", "--facts", f"{base}.json", "--cost", f"{base}_cost.json"]

    def parts():
        return list(state.rglob("part_*.safetensors"))

    process = Script("teacher_distributions_shard", *command)
    while process.poll() is None and len(parts()) < 4:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, process.said()
    done = sum(len(load_file(part)["keys"]) for part in parts())
    assert 150 < done < 450
    assert not Path(f"{base}.json").exists() and not Path(f"{base}.safetensors").exists()

    read = []
    original = AnswerLogits.__call__
    monkeypatch.setattr(AnswerLogits, "__call__", lambda self, rows: read.extend(rows) or original(self, rows))
    capture_one(base.parent, [data], tiny_model_dir, tiny_model_dir)
    assert len(read) == json.loads(Path(f"{base}.json").read_text())["rows"] - done
    capture_one(tmp_path / "whole", [data], tiny_model_dir, tiny_model_dir)
    for end in (".safetensors", ".json"):
        assert Path(f"{base}{end}").read_bytes() == (tmp_path / "whole" / f"shard_0{end}").read_bytes()
    killed, whole = (json.loads((tmp_path / name / "shard_0_cost.json").read_text()) for name in ("killed", "whole"))
    assert killed["tokens"] > 0.8 * whole["tokens"]  # both attempts are counted, but for the part that was lost
    assert not parts()

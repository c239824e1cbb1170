import pytest

from pipestill.io.files import write_sha256sums
from pipestill.training.state import KEPT_CHECKPOINTS, TrainingState

WORK = {"seed": 1, "settings": {"training": {"learning_rate": 0.1}}}


def save(state, step, text="weights"):
    with state.checkpoint(step) as directory:
        (directory / "weights").write_text(f"{text} of {step}")


def test_checkpoints_survive_and_old_ones_go(tmp_path):
    state = TrainingState(tmp_path / "state", WORK)
    assert state.last_checkpoint() is None
    for step in (9, 10, 100):
        save(state, step)
    last = TrainingState(tmp_path / "state", WORK).last_checkpoint()
    assert (last / "weights").read_text() == "weights of 100"
    assert len(list(last.parent.iterdir())) == KEPT_CHECKPOINTS


@pytest.mark.parametrize("harm", ["truncate", "no marker", "missing", "killed"])
def test_a_torn_checkpoint_is_passed_over(tmp_path, capsys, harm):
    state = TrainingState(tmp_path / "state", WORK)
    save(state, 1)
    if harm == "killed":
        with pytest.raises(KeyboardInterrupt), state.checkpoint(2) as directory:
            (directory / "weights").write_text("half")
            raise KeyboardInterrupt
    else:
        save(state, 2)
        torn = state.last_checkpoint()
        if harm == "truncate":
            (torn / "weights").write_text("half")
        else:
            (torn / ("SHA256SUMS" if harm == "no marker" else "weights")).unlink()
    assert (state.last_checkpoint() / "weights").read_text() == "weights of 1"
    assert ("passing over" in capsys.readouterr().err) == (harm != "killed")
    save(state, 2)
    assert (state.last_checkpoint() / "weights").read_text() == "weights of 2"


def test_other_work_starts_over_and_says_why(tmp_path, capsys):
    save(TrainingState(tmp_path / "state", WORK), 5)
    assert TrainingState(tmp_path / "state", WORK).last_checkpoint()
    assert not capsys.readouterr().err
    other = {"seed": 1, "settings": {"training": {"learning_rate": 0.2}}}
    assert TrainingState(tmp_path / "state", other).last_checkpoint() is None
    assert "settings.training.learning_rate changed): starting over" in capsys.readouterr().err


def test_a_state_that_lost_its_fingerprint_is_not_trusted(tmp_path):
    state = TrainingState(tmp_path / "state", WORK)
    save(state, 5)
    (state.directory / "fingerprint.json").unlink()
    assert TrainingState(tmp_path / "state", WORK).last_checkpoint() is None


def test_the_result_is_published_in_one_step_and_again_when_lost(tmp_path):
    state, output = TrainingState(tmp_path / "state", WORK), tmp_path / "model"
    save(state, 1)
    assert not state.is_finished()
    state.finished.mkdir()
    (state.finished / "weights").write_text("trained")
    assert not state.is_finished()
    write_sha256sums(state.finished)
    assert state.is_finished()
    state.publish(output)
    assert (output / "weights").read_text() == "trained"
    assert {path.name for path in state.directory.iterdir()} == {"finished", "fingerprint.json"}
    assert (output / "weights").stat().st_nlink == 2  # shared, not copied
    for path in output.iterdir():
        path.unlink()
    output.rmdir()
    again = TrainingState(tmp_path / "state", WORK)
    assert again.is_finished()
    again.publish(output)
    assert (output / "weights").read_text() == "trained"

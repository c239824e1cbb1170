import os
import signal
from types import SimpleNamespace

from pipestill.training.callbacks import Termination, spread


def test_evaluations_end_with_the_last_step_and_checkpoints_before_it():
    assert spread(4, 100, last=True) == {25, 50, 75, 100}
    assert spread(3, 100, last=False) == {25, 50, 75}
    assert spread(4, 3, last=True) == {1, 2, 3}
    assert spread(4, 3, last=False) == {1, 2}
    assert spread(1, 1, last=True) == {1}
    assert spread(2, 1, last=False) == set()


def test_sigterm_ends_the_step_and_the_handler_goes_again():
    before = signal.getsignal(signal.SIGTERM)
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    with Termination() as termination:
        termination.on_step_end(None, SimpleNamespace(global_step=4, max_steps=9), control)
        assert not control.should_training_stop
        os.kill(os.getpid(), signal.SIGTERM)
        termination.on_step_end(None, SimpleNamespace(global_step=9, max_steps=9), control)
        assert not control.should_training_stop
        termination.on_step_end(None, SimpleNamespace(global_step=5, max_steps=9), control)
    assert control.should_save
    assert control.should_training_stop
    assert signal.getsignal(signal.SIGTERM) is before

"""Jobs that start warm: they run, end and are killed as they are without."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

import pipestill.warm
from pipestill.warm import PLACE, python_directory, warm

SCRIPTS = {
    "told.py": "import sys, os\nprint(sys.argv[1:], os.getcwd(), os.environ.get('SAID'), 'torch' in sys.modules)\n"
    "print(sys.stdin.read(), file=sys.stderr)\nsys.exit(7)\n",
    "raises.py": "raise ValueError('so')\n",
    "killed.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "waits.py": "import os, signal, sys\n"  # os.write: a handler may come in the middle of a print
    "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'told to end\\n'), sys.exit(3)))\n"
    "os.write(1, b'%d\\n' % os.getpid())\nsignal.pause()\n",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A directory of scripts that a nursery runs."""
    directory = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPTS.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def python(scripts):
    """The Python of a warm workflow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipestill.warm, "SCRIPTS", scripts)
        environment = dict(os.environ)
        with warm(environment):
            patch.setenv(PLACE, environment[PLACE])
            yield python_directory() / "python"
    assert not python_directory().name.startswith("pipestill-")


def test_a_workflow_that_begins_no_job_does_not_wait_for_imports(monkeypatch):
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with warm(dict(os.environ)):
        pass
    assert [nursery.returncode for nursery in started] == [-signal.SIGKILL]


def test_a_script_has_its_arguments_files_directory_and_environment(python, scripts, tmp_path):
    environment = dict(os.environ) | {"SAID": "this"}
    done = subprocess.run(
        [python, scripts / "told.py", "--a b", "é"],
        input="in",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stdout == f"['--a b', 'é'] {tmp_path} this True\n"
    assert (done.stderr, done.returncode) == ("in\n", 7)


def test_a_script_that_fails_shows_why(python, scripts):
    done = subprocess.run([python, scripts / "raises.py"], capture_output=True, text=True)
    assert (done.stderr.splitlines()[-1], done.returncode) == ("ValueError: so", 1)


def test_a_script_that_is_killed_seems_so(python, scripts):
    assert subprocess.run([python, scripts / "killed.py"]).returncode == -signal.SIGKILL


def test_what_is_no_script_of_the_workflow_runs_as_ever(python):
    said = subprocess.check_output([python, "-c", "import sys; print('torch' in sys.modules, *sys.argv)", "x"])
    assert said == b"False -c x\n"


@pytest.fixture
def waiting(python, scripts):
    """An asker and the process of a script that waits for a signal."""
    asker = subprocess.Popen([python, scripts / "waits.py"], stdout=subprocess.PIPE, text=True)
    yield asker, psutil.Process(int(asker.stdout.readline()))
    asker.kill()
    asker.wait()
    asker.stdout.close()


def test_a_signal_is_passed_on(waiting):
    asker, _ = waiting
    asker.terminate()
    assert (asker.stdout.read(), asker.wait()) == ("told to end\n", 3)


def test_a_job_dies_with_its_asker(waiting):
    asker, job = waiting
    asker.kill()
    assert job.wait(timeout=60) is None
    assert not job.is_running()


def test_jobs_die_with_the_workflow(scripts):
    code = (
        "import os, subprocess, sys, pipestill.warm as w\n"
        f"w.SCRIPTS = {str(scripts)!r}\n"
        "with w.warm(os.environ):\n"
        f"    subprocess.run([w.python_directory() / 'python', {str(scripts / 'waits.py')!r}])\n"
    )
    workflow = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    job = psutil.Process(int(workflow.stdout.readline()))
    workflow.kill()
    workflow.wait()
    assert job.wait(timeout=60) is None
    workflow.stdout.close()


def test_without_a_nursery_scripts_run_as_ever(scripts, monkeypatch):
    monkeypatch.setattr(pipestill.warm, "SCRIPTS", scripts)
    environment, others = dict(os.environ), psutil.Process().children()
    with warm(environment):
        (nursery,) = set(psutil.Process().children()) - set(others)
        nursery.kill()
        nursery.wait()
        python = os.path.join(environment[PLACE], "python")
        done = subprocess.run([python, scripts / "told.py"], input="", capture_output=True, text=True)
    assert (done.stdout.split()[-1], done.returncode) == ("False", 7)

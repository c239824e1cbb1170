"""The command line of a server: what it cannot serve, it says before any work."""

import socket
import sys

import pytest

from pipestill.cli import main, serve
from pipestill.errors import UserError
from pipestill.serving import run as runs
from pipestill.serving.run import listen_at
from support.served import make_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), creditmix={})


@pytest.fixture
def run(monkeypatch, capsys, results):
    """Exit status and errors of a command."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", "serve", "--results", str(results), *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--results", "none"], "none does not exist: name a directory of results"),
        (["--results", "docs"], "docs has no experiment with a model that has predicted"),
        (["--experiments", "creditmix_kd"], "`creditmix_kd` is no experiment with a model"),
        (["--study", "mnli"], "--study 'mnli' is no study of an experiment that is served"),
        (["--max-memory", "lots"], "--max-memory 'lots' is no size: write one such as 500M or 8G"),
        (["--max-memory", "0"], "--max-memory '0' is no size"),
        (["--max-memory", "1K"], "--max-memory is 1024 bytes, but the weights of `creditmix_sft` take"),
        (["--port", "70000"], "--port 70000 is none: choose one from 0 to 65535"),
        (["--host", "no.such.host.invalid"], "is no address of this machine"),
        (["--queue", "0"], "--queue is a number from 1 to 1000000"),
        (["--deadline", "nan"], "--deadline is a number from 1 to 1000000"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(run, arguments, said):
    code, err = run(*arguments)
    assert code == 1 and said in err and err.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, err = run("--port", taken.getsockname()[1])
    assert code == 1 and "choose another --host or --port" in err and err.count("\n") == 1


def test_sizes_have_units():
    assert [serve.bytes_of(size) for size in ("7", "2k", "1.5M", "8GB", "1GiB")] == [7, 2048, 1572864, 2**33, 2**30]


def test_small_packets_are_sent_at_once():
    with listen_at("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # asyncio asks for it, to set TCP_NODELAY


def test_the_token_comes_from_the_environment(monkeypatch, results):
    told = []
    monkeypatch.setattr(runs, "serve", told.append)
    monkeypatch.setenv(serve.TOKEN, "t0ken")
    monkeypatch.setattr(sys, "argv", ["pipestill", "serve", "--results", str(results), "--max-memory", "1G"])
    main()
    assert told[0].token == "t0ken" and told[0].host == "127.0.0.1" and told[0].max_memory == 2**30


@pytest.mark.parametrize("token", ["", " ", "two words", "line\n", "\u00e9"])
def test_a_token_that_no_client_could_send_is_refused(token):
    with pytest.raises(UserError, match="is empty, or has other characters"):
        serve.token_of({serve.TOKEN: token})


def test_without_a_token_none_is_asked_for():
    assert serve.token_of({}) is None

"""The program's process: runs the source, then does what the tests ask for."""

import operator
import random
import sys
import types

from pipestill.sandbox.peer import Peer, described
from pipestill.sandbox.wire import Channel, Gone

NAME = "program"
CHANNEL, SOURCE = 3, 4  # descriptors
OPERATIONS = {
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "contains": operator.contains,
    "iter": iter,
    "next": next,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
}


def main(source: str, longest: int) -> None:
    """Run a source, tell its names or how it failed, and serve the tests."""
    channel = Channel(CHANNEL, longest)
    random.seed(0)
    try:
        code = compile(source, f"<{NAME}>", "exec", dont_inherit=True)
    except SyntaxError as error:
        channel.send(["syntax", *described(error)])
        return
    except (ValueError, OverflowError) as error:  # null bytes, surrogates, numbers of too many digits
        channel.send(["syntax", "SyntaxError", "SyntaxError", str(error)])
        return
    except (MemoryError, RecursionError) as error:
        channel.send(["raised", *described(error)])
        return
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module
    peer = Peer(channel, OPERATIONS)
    try:
        exec(code, vars(module))
    except BaseException as error:
        told = ["raised", *described(error)]
    else:
        told = ["names", *names(module, peer)]
    try:
        channel.send(told)
        peer.serve()
    except Gone:
        return


def names(module: types.ModuleType, peer: Peer) -> list:
    """A program's names and values, and those of modules that it imported with the modules' names."""
    values, modules = [], []
    for name, value in vars(module).items():
        if isinstance(value, types.ModuleType):
            modules.append([name, str(value.__name__)])
        elif not name.startswith("__"):
            try:
                values.append([name, peer.codec.encode(value)])
            except RecursionError:  # it contains itself
                values.append([name, peer.codec.refer(value)])
    return [values, modules]

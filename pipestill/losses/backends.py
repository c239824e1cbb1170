"""How the arithmetic on blocks of logits is run: plain torch, or compiled, one function for each divergence."""

import functools
import os
import shutil
import types
from collections.abc import Callable

import torch
from torch.utils._triton import has_triton

from pipestill.errors import UserError

BACKENDS = ("auto", "eager", "compile")
COMPILING = 14.0  # seconds until the first compiled function of a process is there
SAVED = 0.5e-9  # seconds that compiled code saves for each logit on a CPU (benchmarks/token_divergences.py)


def choose_backend(logits: int, device: torch.device | str = "cpu", backend: str = "auto") -> str:
    """``eager`` or ``compile``: what ``backend`` says, or for ``auto`` what is done sooner.

    Args:
        logits: tokens times vocabulary, of all calls to come: a training run asks once, so that it does not change the
            backend, and with it the rounding, on its way.
        device: where the tensors are.
        backend: one of :data:`BACKENDS`.

    Raises:
        UserError: an unknown backend, or ``compile`` without a compiler.
    """
    if backend not in BACKENDS:
        raise UserError(f"There is no backend {backend!r} for divergences; choose one of {', '.join(BACKENDS)}.")
    on_cpu = torch.device(device).type == "cpu"
    possible = find_compiler() is not None if on_cpu else has_triton()
    if backend == "compile" and not possible:
        missing = "a C++ compiler (g++ or clang++, or the one that CXX names)" if on_cpu else "Triton"
        raise UserError(f"The backend `compile` for divergences needs {missing}; install it or take `eager`.")
    if backend == "auto":
        return "compile" if possible and (not on_cpu or logits * SAVED > COMPILING) else "eager"
    return backend


def find_compiler() -> str | None:
    """Path of the C++ compiler that torch would use on a CPU."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return next((path for path in map(shutil.which, candidates) if path), None)


@functools.cache
def compiled(function: Callable, name: str) -> Callable:
    """``function`` compiled under a code object of its own: compilations for other names do not count against it.

    torch keeps a few compilations of each code object and then silently stops compiling it.
    """
    code = function.__code__.replace(co_name=f"{function.__name__}_{name}")
    own = types.FunctionType(code, function.__globals__, code.co_name, function.__defaults__, function.__closure__)
    own.__kwdefaults__ = function.__kwdefaults__
    return torch.compile(own)

"""Versions of the libraries that results depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "pipestill", "torch", "transformers", "peft", "trl", "tokenizers", "safetensors", "bitsandbytes", "torchao",
    "compressed-tensors", "numpy", "snakemake",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of those libraries that are installed, without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

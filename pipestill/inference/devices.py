"""Where a model's inputs belong."""

import torch


def input_device(model: torch.nn.Module) -> torch.device:
    """The device of a model's token ids."""
    device = model.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device  # offloaded: accelerate moves the inputs

"""Size of a model, and a check before long runs that it can learn."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError
from pipestill.losses import IGNORED
from pipestill.models.hardware import HardwarePlan

if TYPE_CHECKING:
    import torch

SMALL_TENSOR = 4096  # the 8-bit optimizers keep fp32 states for tensors below this
BLOCK = 256  # elements that share one fp32 scale in an 8-bit state


def profile(model: "torch.nn.Module", plan: HardwarePlan | None = None) -> dict[str, Any]:
    """Sizes of ``model`` for ``profile.json``.

    Returns:
        ``total_parameters``, ``trainable_parameters`` (shared ones counted once, packed 4-bit ones unpacked),
        ``parameter_bytes`` by number format as held in memory, ``quantised_layers``, ``optimizer`` of the plan, and
        ``estimated_optimizer_bytes`` by optimizer for the trainable parameters.
    """
    sizes, held = Counter(), Counter()
    adamw = adamw_8bit = 0
    for parameter in model.parameters():
        count = _numel(parameter)
        sizes["total"] += count
        held[str(parameter.dtype).removeprefix("torch.")] += parameter.numel() * parameter.element_size()
        if parameter.requires_grad:
            sizes["trainable"] += count
            adamw += 2 * count * parameter.element_size()  # two moments in the parameter's own format
            adamw_8bit += 2 * (4 * count if count < SMALL_TENSOR else count + 4 * -(-count // BLOCK))
    return {
        "total_parameters": sizes["total"],
        "trainable_parameters": sizes["trainable"],
        "parameter_bytes": dict(sorted(held.items())),
        "quantised_layers": sum(map(_is_packed, model.parameters())),
        "optimizer": plan.optimizer if plan else None,
        "estimated_optimizer_bytes": {"adamw_torch": adamw, "adamw_torch_fused": adamw, "paged_adamw_8bit": adamw_8bit},
    }


def _is_packed(parameter: "torch.Tensor") -> bool:
    return type(parameter).__name__ == "Params4bit"  # by name: bitsandbytes is slow to import and may be missing


def _numel(parameter: "torch.Tensor") -> int:
    return parameter.numel() * parameter.element_size() * 2 if _is_packed(parameter) else parameter.numel()


def check_gradients(
    model: "torch.nn.Module", batch: Mapping[str, Any], loss: Callable[[Any, Any], "torch.Tensor"] | None = None
) -> dict[str, Any]:
    """One forward and backward pass before a run; model, gradients and random generators are left as they were.

    Args:
        model: fresh, before the first step: while ``lora_B`` is zero, every first gradient must come from it. Its
            weights may be divided.
        batch: one real batch on the model's device; ``labels`` [batch, seq] with ``IGNORED`` where nothing is learned.
        loss: maps model and batch to the loss; by default the model's own.

    Returns:
        ``loss``, ``supervised_tokens`` (none without ``labels``), ``trainable_tensors``, ``nonzero_gradients``.

    Raises:
        UserError: nothing to learn or to train, a gradient that is missing, not finite or zero where it must not be,
            or one on a frozen tensor.
    """
    import torch

    from pipestill.models.division import whole

    labels = batch.get("labels")
    supervised = None if labels is None else int((labels != IGNORED).sum())
    if supervised == 0:
        raise UserError("gradient check: the first batch has no token to learn: are all answers cut by max_length?")
    trainable = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
    if not trainable:
        raise UserError("gradient check: no parameter of the model is trainable: check training.lora.target_modules")
    device = next(iter(trainable.values())).device
    forked = {"devices": [device], "device_type": device.type} if device.type in ("cuda", "xpu") else {"devices": []}
    was_training = model.training
    with torch.random.fork_rng(**forked):  # dropout draws: the run after the check must see the same numbers
        model.train()
        value = loss(model, batch) if loss else model(**batch).loss
        value.backward()
        value = float(value.detach())
    try:
        _judge(model, trainable, value)
        nonzero = sum(bool(whole(tensor.grad).any()) for tensor in trainable.values())
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    return {
        "loss": value,
        "supervised_tokens": supervised,
        "trainable_tensors": len(trainable),
        "nonzero_gradients": nonzero,
    }


def _judge(model: "torch.nn.Module", trainable: dict[str, "torch.Tensor"], loss: float) -> None:
    import torch

    from pipestill.models.division import whole

    frozen = [name for name, tensor in model.named_parameters() if not tensor.requires_grad and tensor.grad is not None]
    missing = [name for name, tensor in trainable.items() if tensor.grad is None]
    present = {name: tensor.grad for name, tensor in trainable.items() if tensor.grad is not None}
    infinite = [name for name, gradient in present.items() if not torch.isfinite(whole(gradient)).all()]
    zero = [name for name, gradient in present.items() if "lora_B" in name and not whole(gradient).any()]
    for names, problem in (
        (infinite, f"is not finite (the loss is {loss:.4g}): lower the precision's risk with `precision: fp32`"),
        (missing, "is missing: the loss does not depend on it"),
        (zero, "is zero: the adapter would never move"),
        (frozen, "exists although the tensor is frozen"),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"gradient check: the gradient of {names[0]}{more} {problem}")

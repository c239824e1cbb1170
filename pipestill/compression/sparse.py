"""Zeros in linear layers: the smallest weights by a measure."""

import torch


def smallest(measure: torch.Tensor, amount: float) -> torch.Tensor:
    """Mask of the share ``amount`` of all entries that are smallest; of equal ones, those that come first."""
    flat = measure.flatten()
    mask = torch.zeros(flat.shape, dtype=torch.bool, device=flat.device)
    mask[flat.argsort(stable=True)[: round(amount * flat.numel())]] = True
    return mask.view(measure.shape)


def smallest_in_rows(measure: torch.Tensor, amount: float) -> torch.Tensor:
    """The same in each row of [rows, columns]."""
    places = measure.argsort(dim=-1, stable=True)[:, : round(amount * measure.shape[-1])]
    return torch.zeros(measure.shape, dtype=torch.bool, device=measure.device).scatter_(-1, places, True)


def two_of_four(measure: torch.Tensor) -> torch.Tensor:
    """Mask of the two smallest of every four in a row of [rows, columns], whose columns are a multiple of 4."""
    return smallest_in_rows(measure.reshape(-1, 4), 0.5).view(measure.shape)


def wanda(weight: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
    """Size of each weight times the norm of its input (Sun et al. 2024), [outputs, inputs] of float64."""
    return weight.double().abs() * squares.sqrt().to(weight.device)

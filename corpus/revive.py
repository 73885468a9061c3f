"""Dead nets made alive.

Random initialisation leaves many nets with outputs near 0 (residual branches that begin at zero, normalisation whose
statistics are those of no data): 1e-9 and less, where no comparison sees anything. Parameters that are zero
throughout get random values, and batch normalisation sees the inputs twice. Nothing is done to a net that is alive.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

__all__ = ["NEAR_ZERO", "is_dead", "loudness", "revive"]

NEAR_ZERO = 1e-4
"""A float output whose largest element is smaller is as good as zero."""

_TINY = 1e-2  # a parameter that is the same small number throughout scales what it stands at down to nothing
_PASSES = 2


def loudness(outputs: Any) -> list[float]:
    """The largest magnitude in each float tensor of the outputs."""
    import torch
    from torch.utils import _pytree as pytree

    return [
        float(leaf.detach().abs().max())
        for leaf in pytree.tree_leaves(outputs)
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.numel()
    ]


def is_dead(outputs: Any) -> bool:
    """Whether a float tensor of the outputs is near 0 throughout."""
    return any(size < NEAR_ZERO for size in loudness(outputs))


def revive(module: torch.nn.Module, call: Callable[[], Any]) -> list[str]:
    """Give random values to what is zero, and batch normalisation its statistics; what was done, in words.

    The module is changed in place. ``call`` runs it on its inputs.
    """
    import torch

    done = []
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        count = sum(_randomise(parameter) for parameter in module.parameters())
        if count:
            done.append(f"{count} parameters that were zero, or one small number, throughout have random values")
        norms = list(_batch_norms(module))
        if norms and _settle(norms, call):
            done.append(f"{len(norms)} batch normalisations have seen the inputs twice")
    return done


def _randomise(parameter: torch.nn.Parameter) -> bool:
    if not parameter.is_floating_point() or not parameter.numel():
        return False
    first = float(parameter.flatten()[0])
    if abs(first) > _TINY or not bool((parameter == first).all()):
        return False
    if parameter.dim() > 1 and parameter.shape[0]:
        parameter.normal_(0.0, 1.0 / sqrt(max(parameter.numel() // parameter.shape[0], 1)))
    elif first:
        parameter.uniform_(0.5, 1.0)
    else:
        parameter.normal_(0.0, 0.5)
    return True


def _batch_norms(module: torch.nn.Module) -> Iterator[torch.nn.modules.batchnorm._BatchNorm]:
    from torch.nn.modules.batchnorm import _BatchNorm

    for part in module.modules():
        if isinstance(part, _BatchNorm) and part.track_running_stats and part.running_mean is not None:
            yield part


def _settle(norms: list[torch.nn.modules.batchnorm._BatchNorm], call: Callable[[], Any]) -> bool:
    """Run the model with its batch normalisations alone in training; whether that worked."""
    before = [(norm, norm.momentum, norm.training) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average over the passes
            norm.train()
        for _ in range(_PASSES):
            call()
    except (ValueError, RuntimeError):  # one value a channel has no variance
        for norm in norms:
            norm.reset_running_stats()
        return False
    finally:
        for norm, momentum, training in before:
            norm.momentum = momentum
            norm.train(training)
    for norm in norms:
        # A channel that is constant on these inputs would divide by the square root of epsilon alone.
        if norm.running_var is not None:
            norm.running_var.clamp_(min=1e-2)
    return True

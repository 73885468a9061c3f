"""Seeds in epochs: what is known decides over an epoch as it was two epochs before, so nobody waits for it.

Epochs hold 8, 8, 16, 16, 32, 32, ... seeds, at most 256.
"""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["epoch_of", "start_of"]

_LARGEST = 256
_STARTS = (0, 8, 16, 32, 48, 80, 112, 176, 240, 368, 496)
"""Where the epochs of growing size begin; all that follow have the largest."""


def epoch_of(index: int) -> int:
    """The epoch of a seed, by its place in the campaign from 0 on."""
    last = len(_STARTS) - 1
    if index >= _STARTS[last]:
        return last + (index - _STARTS[last]) // _LARGEST
    return bisect_right(_STARTS, index) - 1


def start_of(epoch: int) -> int:
    """The place of an epoch's first seed; 0 for what comes before the first epoch."""
    last = len(_STARTS) - 1
    return _STARTS[max(epoch, 0)] if epoch <= last else _STARTS[last] + (epoch - last) * _LARGEST

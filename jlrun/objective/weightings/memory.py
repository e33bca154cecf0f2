"""What a weighting remembers of each shared coordinate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class GradientMemory(nn.Module):
    """A buffer ``(T, N)`` that begins as zeros of the first Jacobian's size, device and dtype.

    N is not known when a weighting is made; a checkpoint brings its own.

    Args:
        num_tasks: T.
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.values: Tensor
        self.register_buffer("values", torch.zeros(num_tasks, 0))

    def like(self, jacobian: Tensor) -> Tensor:
        """Return the buffer, to be changed in place, of the size of ``jacobian (T, N)``."""
        if self.values.numel() == 0:
            self.values = torch.zeros_like(jacobian)
        assert self.values.shape == jacobian.shape, "the shared parameters of a phase do not change"
        return self.values

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        stored = state_dict.get(f"{prefix}values")
        if stored is not None:
            self.values = torch.empty_like(stored, device=self.values.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

"""Checks of the inputs of heads: a vector for each row, or maps."""

from __future__ import annotations

from torch import Tensor

from jlrun.errors import UserError


def check_vectors(features: Tensor) -> None:
    """Check that features are ``(B, D)``.

    Raises:
        UserError: if they are maps, as the encoder of dense tasks yields them.
    """
    if features.ndim > 2:
        raise UserError.of(
            "heads",
            f"this head reads a vector for each row, but the backbone yields maps of shape "
            f"{tuple(features.shape[1:])}. Use heads=aspp for dense tasks, or another backbone, "
            "such as backbone/image=resnet18, for others",
        )


def check_maps(features: Tensor) -> None:
    """Check that features are maps ``(B, C, h, w)``.

    Raises:
        UserError: if they are vectors, as other encoders than those of dense tasks yield them.
    """
    if features.ndim != 4:
        raise UserError.of(
            "heads",
            f"aspp reads maps, but the backbone yields a vector of {features.shape[-1]} for each "
            "row. Use backbone/image=dilated_resnet for dense tasks, or heads=linear for others",
        )

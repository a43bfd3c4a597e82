"""What a compression will cost in time and disk space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_estimate import estimate_disk_bytes, estimate_seconds


@dataclass(frozen=True)
class RunCost:
    """The estimated cost of a run.

    Attributes
    ----------
    seconds : float
        Duration on this computer.
    bytes : int
        Disk space.
    """

    seconds: float
    bytes: int


def estimate_cost(settings: CompressionSettings, teacher: str, validation_sizes: Sequence[tuple[int, int]]) -> RunCost:
    """Estimate the cost of a run on this computer.

    Parameters
    ----------
    settings : CompressionSettings
    teacher : str
        "simulated", "scratch" or a file: it decides which steps run.
    validation_sizes : sequence of (Y, X)
        Sizes of the validation images in pixels.
    """
    steps = settings.steps(teacher)
    return RunCost(estimate_seconds(settings, steps, validation_sizes), estimate_disk_bytes(settings, steps))

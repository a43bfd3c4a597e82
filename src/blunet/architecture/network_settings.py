"""What distinguishes one network from another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from blunet.errors import InputError

Network = Literal["unet", "lightweight", "blunet"]
NETWORKS: tuple[Network, ...] = get_args(Network)

MAX_LEVELS = 8
MAX_BASE_FILTERS = 1024
MAX_RESIDUAL_LEVELS = 4


@dataclass(frozen=True)
class ResidualLevels:
    """Number of residual levels M (bits a value) of each kind of binarised tensor, 1 to 4.

    Attributes
    ----------
    activation : int
        Of the residual sign activations.
    convolution : int
        Of the kernels of plain convolutions (level 0's contracting ones and the output).
    depthwise, pointwise : int
        Of the two kernels of a separable convolution.
    """

    activation: int = 3
    convolution: int = 3
    depthwise: int = 3
    pointwise: int = 3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check_whole(f"residual_levels.{name}", value, 1, MAX_RESIDUAL_LEVELS)


@dataclass(frozen=True)
class NetworkSettings:
    """Settings from which the table of layers, the size and the networks follow.

    Attributes
    ----------
    network : {"unet", "lightweight", "blunet"}
        The full-precision U-Net, the lightweight one (depthwise-separable convolutions) or its binarised form.
    levels : int
        Resolution levels, 1 to 8; a network of `levels` takes images whose sides are multiples of
        ``2 ** (levels - 1)``.
    base_filters : int
        Filters at level 0; level l has ``base_filters * 2 ** l``.
    residual_levels : ResidualLevels
        Of the binarised tensors; without meaning for networks that are not binarised.
    binarize_depthwise : bool
        Whether a residual sign, with the activations' number of levels, stands between the depthwise and the
        pointwise part of every separable convolution, so that the pointwise part multiplies bits with bits. Not in the
        published network; without meaning for networks that are not binarised.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    network: Network = "blunet"
    levels: int = 5
    base_filters: int = 64
    residual_levels: ResidualLevels = field(default_factory=ResidualLevels)
    binarize_depthwise: bool = False

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise InputError(f"There is no network '{self.network}'; choose one of {', '.join(NETWORKS)}.")
        _check_whole("levels", self.levels, 1, MAX_LEVELS)
        _check_whole("base_filters", self.base_filters, 1, MAX_BASE_FILTERS)
        if not isinstance(self.binarize_depthwise, bool):
            raise InputError(f"'binarize_depthwise' is {self.binarize_depthwise!r}, and has to be true or false.")

    @property
    def multiple(self) -> int:
        """The sides of the network's input are multiples of this many pixels."""
        return int(2 ** (self.levels - 1))

    @property
    def binary(self) -> bool:
        """Whether weights and activations are binarised."""
        return self.network == "blunet"

    def filters(self, level: int) -> int:
        """Filters of every convolution at `level`."""
        return int(self.base_filters * 2**level)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types; `from_dict` reads them back."""
        plain = asdict(self)
        if not self.binarize_depthwise:  # as it was written before there was a choice
            del plain["binarize_depthwise"]
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkSettings:
        """Read settings written by `to_dict`.

        Raises
        ------
        InputError
            If a key is unknown or a value has the wrong type or range.
        """
        known = {f.name for f in fields(cls)}
        if not isinstance(data, dict) or set(data) - known:
            raise InputError(f"Network settings hold {data!r:.200}; known keys are {', '.join(sorted(known))}.")
        levels = data.get("residual_levels", {})
        try:
            return cls(**{**data, "residual_levels": ResidualLevels(**levels)})
        except TypeError as e:
            raise InputError(f"Network settings do not hold valid residual levels: {levels!r:.200}.") from e


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"'{name}' is {value!r}, and has to be a whole number from {low} to {high}.")

"""What the operations of a compiled network have in common, and what they share in a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer
from blunet.packed.kernels.layout import CodedMap, Coding, MapLayout, Region, Words, lay_out_map, list_arrays
from blunet.packed.layer_weights import LayerWeights


@dataclass
class RunState:
    """What the operations of one run share.

    Attributes
    ----------
    image : ndarray of float32, shape (H, W)
    regions : mapping of str to Region
        The part of every layer's map that is wanted, by the layers' names.
    threads : int
        How many threads share the work.
    call : callable
        Runs a kernel in all of them: ``call(kernel, *arguments)``. The kernel's last argument, the counter, is added.
    allocate : callable
        Gives the memory for a map of a layout; its border is 0.
    maps : dict of str to CodedMap
        The maps that later operations see, by the names of the layers.
    outputs : dict of str to ndarray of float32, shape (K, H, W)
        The results, by the names of the output layers.
    """

    image: NDArray[np.float32]
    regions: Mapping[str, Region]
    threads: int
    call: Callable[..., None]
    allocate: Callable[[MapLayout], Words]
    maps: dict[str, CodedMap] = field(default_factory=dict)
    outputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """One layer, compiled.

    Attributes
    ----------
    layer : Layer
    inputs : tuple of str
        The names of the layers whose maps it sees, in the order of their channels. Empty: it sees the image.
    """

    #: What listings call the operation.
    kind: ClassVar[str]

    layer: Layer
    inputs: tuple[str, ...]

    @classmethod
    @abstractmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        """Tell whether this kind of operation computes such a layer."""

    @classmethod
    @abstractmethod
    def compile(cls, weights: LayerWeights) -> Self:
        """Lay out the layer's weights."""

    @abstractmethod
    def run(self, state: RunState) -> None:
        """Compute the layer and add its map, or the output, to the state."""

    @abstractmethod
    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        """Count the layer's multiplications on an image of that size.

        Returns
        -------
        floats : int
            Of floats.
        bits : int
            Of two signs: an XNOR and a count, P times for every product where there are P pairs of planes.
        """

    @property
    def pairs(self) -> int:
        """Pairs of bit planes that are multiplied; 0 where only floats are."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights as the kernels read them."""
        return sum(array.nbytes for f in fields(self) for array in list_arrays(getattr(self, f.name)))

    def _region(self, state: RunState) -> Region:
        return state.regions[self.layer.name]

    def _products(self, height: int, width: int) -> int:
        """Count the products of a plain convolution on an image of that size."""
        layer = self.layer
        return (height >> layer.level) * (width >> layer.level) * layer.kernel_size**2 * layer.inputs * layer.filters


@dataclass(frozen=True, eq=False)
class CodedOperation(Operation):
    """An operation whose result is a map of residual codes."""

    coding: Coding

    def _new_map(self, state: RunState) -> CodedMap:
        """Allocate the layer's map and add it to the state."""
        (height, width), level = state.image.shape, self.layer.level
        layout = lay_out_map(height >> level, width >> level, self.layer.filters, len(self.coding.gammas))
        new = state.maps[self.layer.name] = CodedMap(state.allocate(layout), layout, self.coding)
        return new

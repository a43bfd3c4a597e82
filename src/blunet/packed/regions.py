"""Which part of every map the wanted part of the output depends on."""

from __future__ import annotations

from collections.abc import Sequence

from blunet.architecture import Layer
from blunet.packed.kernels.layout import Region
from blunet.packed.operation import Operation


def find_regions(
    program: Sequence[Operation], shape: tuple[int, int], inside: tuple[slice, slice] | None = None
) -> dict[str, Region]:
    """Return the part of each layer's map that is needed, by the layers' names.

    Parameters
    ----------
    program : sequence of Operation
    shape : (int, int)
        Height and width of the image.
    inside : (slice, slice), optional
        Rows and columns that are wanted of the outputs. None: all.
    """
    height, width = shape
    rows, columns = inside or (slice(0, height), slice(0, width))
    wanted = Region(rows.start, rows.stop, columns.start, columns.stop)
    regions: dict[str, Region] = {}
    for operation in reversed(program):
        layer = operation.layer
        region = regions.setdefault(layer.name, wanted)  # nothing sees an output
        seen = find_seen_region(layer, region, shape)
        for name in operation.inputs:
            regions[name] = _enclose(regions.get(name, seen), seen)
    return regions


def find_seen_region(layer: Layer, region: Region, shape: tuple[int, int]) -> Region:
    """Return the part of its inputs' maps that a layer sees to compute a region of its own map."""
    before, after = (layer.kernel_size - 1) // 2, layer.kernel_size // 2
    top, bottom, left, right = region.top - before, region.bottom + after, region.left - before, region.right + after
    level = layer.level
    if layer.source == "pooled":
        top, bottom, left, right = 2 * top, 2 * bottom, 2 * left, 2 * right
        level -= 1
    elif layer.source == "upsampled":
        top, bottom, left, right = top // 2, -(-bottom // 2), left // 2, -(-right // 2)
        level += 1
    height, width = (n >> level for n in shape)
    return Region(max(top, 0), min(bottom, height), max(left, 0), min(right, width))


def _enclose(a: Region, b: Region) -> Region:
    return Region(min(a.top, b.top), max(a.bottom, b.bottom), min(a.left, b.left), max(a.right, b.right))

"""The packed engine: runs a compiled binary network on bit planes, with numba's kernels on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.kernels.bits import separable_bits
from blunet.packed.kernels.convolve import convolve_bits, convolve_bits_to_signs, convolve_image
from blunet.packed.kernels.geometry import Map, Region, block_of, map_of
from blunet.packed.kernels.output import output_probability
from blunet.packed.kernels.separable import separable_popcount, separable_product
from blunet.packed.program import MODES, Operation, compile_program
from blunet.packed.threads import thread_count

Words = NDArray[np.uint64]
#: A map's words, how they lie, and the gammas of its codes.
Source = tuple[Words, Map, NDArray[np.float32]]
Check = Callable[[], None]

#: Maps of at most so many bytes are kept for the next run; larger ones take far longer to compute than to ask for.
KEPT_BYTES = 2**23


class Engine:
    """Runs a binary network.

    Parameters
    ----------
    weights : BinaryWeights
        Compiled here (see `compile_program`).
    threads : int, optional
        How many threads share the work, at least 1; the result does not depend on it. None: one a core.

    Raises
    ------
    InputError
        If `threads` is not positive.
    """

    def __init__(self, weights: BinaryWeights, threads: int | None = None) -> None:
        self.settings = weights.settings
        self.threads = thread_count(threads)
        self.program = compile_program(weights)
        self._inputs = inputs_of(self.program)
        self._last_seen: dict[str, list[str]] = {}
        for name in self._inputs:
            if seen := [layer for layer, inputs in self._inputs.items() if name in inputs]:
                self._last_seen.setdefault(seen[-1], []).append(name)
        self._shape: tuple[int, ...] = ()
        self._regions: dict[str, Region] = {}
        self._pool = ThreadPoolExecutor(self.threads, "blunet") if self.threads > 1 else None
        self._free: dict[Map, list[Words]] = {}
        self._lock = threading.Lock()

    def run(
        self, image: NDArray[np.float32], check: Check | None = None, inside: tuple[slice, slice] | None = None
    ) -> NDArray[np.float32]:
        """Return the probability of foreground.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)
            In [0, 1]; H and W multiples of ``settings.multiple``.
        check : callable, optional
            Called before every layer; what it raises ends the run.
        inside : (slice, slice), optional
            Rows and columns that are wanted: of every layer only what these depend on is computed. None: all.

        Returns
        -------
        ndarray of float32, shape (H, W)
            In [0, 1]; only within `inside` of a meaning.
        """
        if image.ndim != 2 or any(n % self.settings.multiple for n in image.shape):
            raise ValueError(f"sides of {image.shape} are not multiples of {self.settings.multiple}")
        with self._lock:  # the feature maps' memory is kept from run to run
            return self._run(np.asarray(image, np.float32), check, inside=inside)

    def codes(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
        """Return the codes of every layer but the output, to compare them with another engine's.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)
            As in `run`.

        Returns
        -------
        dict of str to ndarray of bool, shape (M, H / 2^level, W / 2^level, filters)
            By the layers' names; see `residual_code`.
        """
        codes: dict[str, NDArray[np.bool_]] = {}
        with self._lock:
            self._run(np.asarray(image, np.float32), None, codes)
        return codes

    def _run(
        self,
        image: NDArray[np.float32],
        check: Check | None,
        codes: dict[str, NDArray[np.bool_]] | None = None,
        inside: tuple[slice, slice] | None = None,
    ) -> NDArray[np.float32]:
        result = np.empty(image.shape, np.float32)
        maps: dict[str, Source] = {}
        if self._shape != image.shape:
            self._shape = image.shape
            self._free.clear()
        self._regions = regions_of(self.program, self._inputs, image.shape, inside)
        try:
            for operation in self.program:
                if check is not None:
                    check()
                self._step(operation, image, maps, result)
                layer = operation.layer
                if codes is not None and layer.name in maps:
                    codes[layer.name] = unpacked(*maps[layer.name][:2])
                for name in self._last_seen.get(layer.name, ()):
                    self._release(maps.pop(name))
        finally:
            for source in maps.values():
                self._release(source)
        return result

    def _step(
        self, operation: Operation, image: NDArray[np.float32], maps: dict[str, Source], result: NDArray[np.float32]
    ) -> None:
        """Run one operation."""
        layer = operation.layer
        if operation.kind == "output":
            self._output(operation, maps[self._inputs[layer.name][-1]], result)
            return
        o = self._map(operation, image.shape)
        out = self._room(o)
        maps[layer.name] = out, o, operation.arrays["gammas"]
        if operation.kind == "image":
            self._image(operation, image, out, o)
        else:
            self._layer(operation, [maps[name] for name in self._inputs[layer.name]], out, o)

    def _map(self, operation: Operation, shape: tuple[int, ...]) -> Map:
        layer = operation.layer
        levels = self.settings.residual_levels.activation
        return map_of(shape[0] >> layer.level, shape[1] >> layer.level, layer.filters, levels)

    def _room(self, o: Map) -> Words:
        """Return room for a map; its border is 0 from the beginning and never written."""
        free = self._free.get(o)
        return free.pop() if free else np.zeros(o.size, np.uint64)

    def _release(self, source: Source) -> None:
        words, m, _ = source
        if words.nbytes <= KEPT_BYTES:
            self._free.setdefault(m, []).append(words)

    def _image(self, operation: Operation, image: NDArray[np.float32], out: Words, o: Map) -> None:
        a = operation.arrays
        self._together(
            convolve_image,
            np.pad(image, 1),
            a["weights"],
            a["bias"],
            int(a["panel"]),
            a["gammas"],
            a["valid"],
            out,
            o,
            self._regions[operation.layer.name],
        )

    def _layer(self, operation: Operation, sources: list[Source], out: Words, o: Map) -> None:
        a, layer = operation.arrays, operation.layer
        first, f, first_gammas = sources[0]
        second, s, second_gammas = sources[-1]
        mode, region = MODES[layer.source], self._regions[layer.name]
        if operation.kind == "bits":
            self._together(
                convolve_bits, first, f, window_offsets(f), a["weights"], a["factors"], a["base"], a["gammas"],
                a["valid"], out, o, region,
            )  # fmt: skip
            return
        if operation.kind == "bits to signs":
            self._together(
                convolve_bits_to_signs, first, f, window_offsets(f), a["weights"], a["limits"], out, o, region
            )
            return
        if operation.kind == "signs":
            offsets = np.arange(len(a["middle_valid"]), dtype=np.int64) * o.stride
            self._together(
                separable_bits, first, f, second, s, mode, a["depthwise"], a["middle_valid"], offsets, a["weights"],
                a["limits"], out, o, region,
            )  # fmt: skip
            return
        repeated = layer.source == "upsampled"
        height, width = (f.height, f.width) if repeated else (o.height, o.width)
        block = block_of(height, width, layer.inputs, repeated, self.threads)
        shared = (first, f, first_gammas, second, s, second_gammas, mode, block, a["depthwise"])
        if operation.kind == "product":
            self._together(
                separable_product,
                *shared,
                a["weights"],
                a["bias"],
                int(a["panel"]),
                a["gammas"],
                a["valid"],
                out,
                o,
                self._regions[operation.layer.name],
            )
            return
        room = block.rows * block.columns * (4 if repeated else 1)
        offsets = np.arange(len(a["middle_valid"]), dtype=np.int64) * (room + room % 2)
        self._together(
            separable_popcount, *shared, a["middle_gammas"], np.float32(a["middle_offset"]), a["middle_valid"], offsets,
            a["weights"], a["factors"], a["base"], a["gammas"], a["valid"], out, o, region,
        )  # fmt: skip

    def _output(self, operation: Operation, source: Source, result: NDArray[np.float32]) -> None:
        a = operation.arrays
        words, s, _ = source
        self._together(
            output_probability,
            words,
            s,
            a["weights"],
            a["factors"],
            np.float32(a["base"]),
            result,
            self._regions[operation.layer.name],
        )

    def _together(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Run a kernel in every thread; they take their work from one counter."""
        counter = np.zeros(1, np.int64)
        if self._pool is None:
            kernel(*arguments, counter)
            return
        others = [self._pool.submit(kernel, *arguments, counter) for _ in range(self.threads - 1)]
        kernel(*arguments, counter)
        for other in others:
            other.result()


def window_offsets(s: Map) -> NDArray[np.int64]:
    """Return where the words of a 3 x 3 window lie, tap by tap, from its upper left pixel's word of plane 0 on."""
    row = s.levels * s.words * s.stride
    return np.array([i * row + j + k * s.stride for i in range(3) for j in range(3) for k in range(s.words)], np.int64)


def inputs_of(program: Sequence[Operation]) -> dict[str, tuple[str, ...]]:
    """Return the names of the layers that each layer sees, by its name."""
    result: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for operation in program:
        layer = operation.layer
        result[layer.name] = ((layer.skip,) if layer.skip else ()) + before
        before = (layer.name,)
    return result


def regions_of(
    program: Sequence[Operation],
    inputs: dict[str, tuple[str, ...]],
    shape: tuple[int, ...],
    inside: tuple[slice, slice] | None,
) -> dict[str, Region]:
    """Return what is wanted of each layer's map, by its name, for the part `inside` of the output (None: all)."""
    height, width = shape
    if inside is None:
        inside = slice(0, height), slice(0, width)
    wanted: dict[str, Region] = {}
    regions: dict[str, Region] = {program[-1].layer.name: Region(inside[0].start, inside[0].stop, *_ends(inside[1]))}
    for operation in reversed(program):
        layer = operation.layer
        region = regions[layer.name] = regions.get(layer.name) or wanted[layer.name]
        before, after = (layer.kernel_size - 1) // 2, layer.kernel_size // 2
        seen = Region(region.top - before, region.bottom + after, region.left - before, region.right + after)
        if layer.source == "pooled":
            seen = Region(*(2 * n for n in seen))
        elif layer.source == "upsampled":
            seen = Region(seen.top // 2, -(-seen.bottom // 2), seen.left // 2, -(-seen.right // 2))
        level = layer.level + {"pooled": -1, "upsampled": 1}.get(layer.source, 0)
        rows, columns = height >> level, width >> level
        seen = Region(max(seen.top, 0), min(seen.bottom, rows), max(seen.left, 0), min(seen.right, columns))
        for name in inputs[layer.name]:
            other = wanted.get(name, seen)
            wanted[name] = Region(
                min(seen.top, other.top), max(seen.bottom, other.bottom),
                min(seen.left, other.left), max(seen.right, other.right),
            )  # fmt: skip
    return regions


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop


def unpacked(words: Words, m: Map) -> NDArray[np.bool_]:
    """Return a map's bits as booleans of shape (levels, height, width, channels)."""
    rows = words.reshape(m.height + 2, m.levels, m.words, m.stride)[1:-1, :, :, 1 : m.width + 1]
    octets = np.ascontiguousarray(rows.transpose(1, 0, 3, 2)).astype("<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=m.channels, bitorder="little").astype(np.bool_)

"""A packed model: a binary network with its normalisation, threshold and card, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.errors import InputError
from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import Limits, Normaliser
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.blunet_file import read_file, write_file
from blunet.packed.engine import Engine
from blunet.packed.model_card import ModelInfo
from blunet.packed.tiles import Slices, crop_to_image, pad_shape, read_padded, split_into_tiles

BUNDLED = Path(__file__).resolve().parent.parent / "data" / "bundled.blunet"
#: Images with a longer side than this, in pixels, are run in tiles, which limits the memory.
TILE = 1280


@dataclass(frozen=True, eq=False)
class PackedModel:
    """A binary network with its normalisation, threshold and card, as in a ``.blunet`` file.

    Parameters
    ----------
    weights : BinaryWeights
    info : ModelInfo
        Normalisation, recommended threshold and card.
    path : Path, optional
        The file it was read from.
    threads : int, optional
        How many threads share the work. None: see `choose_thread_count`.
    tile : int
        Side of the tiles that larger images are run in, in pixels.
    """

    weights: BinaryWeights
    info: ModelInfo = field(default_factory=ModelInfo)
    path: Path | None = None
    threads: int | None = None
    tile: int = TILE

    @property
    def settings(self) -> NetworkSettings:
        """Settings of the network."""
        return self.weights.settings

    @cached_property
    def engine(self) -> Engine:
        """What runs the network. It is made when it is first needed."""
        return Engine(self.weights, self.threads)

    def predict(
        self,
        image: NDArray[Any] | GreyImage,
        *,
        limits: Limits | None = None,
        tile: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the probability of foreground in a raw image.

        Parameters
        ----------
        image : ndarray of shape (Y, X), or GreyImage
            Grey values as the microscope gave them, of any size and numeric type; the model's own
            normalisation is applied to the whole frame. A `GreyImage` is not checked again.
        limits : Limits, optional
            Grey values that become 0 and 1, estimated once for the frames of a stack. None: this image's own.
        tile : int
            Side of a tile in pixels. Images with a longer side are run in tiles of about this size, with the same
            result. None: the model's own.
        check : callable, optional
            Called before every layer of every tile. What it raises ends the work.

        Returns
        -------
        ndarray of float32, shape (Y, X)
            In [0, 1].

        Raises
        ------
        InputError
            If the image is not two-dimensional, is empty, or holds NaN or infinite values, or `tile` is not
            positive.

        Examples
        --------
        >>> image = np.random.default_rng(0).integers(0, 2**16, (100, 120), np.uint16)
        >>> probability = load_model().predict(image)
        >>> probability.shape, probability.dtype.name
        ((100, 120), 'float32')
        """
        scaled = Normaliser(image, self.info.normalisation, limits)
        probability = np.empty(scaled.shape, np.float32)
        for core, maps in self._run_tiles(scaled, tile, check):
            probability[core] = maps[0]
        return probability

    def predict_maps(
        self,
        image: NDArray[Any] | GreyImage,
        *,
        limits: Limits | None = None,
        tile: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return all maps of a raw image, in one pass.

        Parameters
        ----------
        image, limits, tile, check
            As in `predict`.

        Returns
        -------
        ndarray of float32, shape (K, Y, X)
            In [0, 1], in the order of ``settings.maps``; the first is the probability of foreground.

        Raises
        ------
        InputError
            As `predict` does.
        """
        scaled = Normaliser(image, self.info.normalisation, limits)
        result = np.empty((len(self.settings.maps), *scaled.shape), np.float32)
        for core, maps in self._run_tiles(scaled, tile, check):
            result[:, *core] = maps
        return result

    def predict_tiles(
        self,
        image: NDArray[Any] | GreyImage,
        *,
        limits: Limits | None = None,
        tile: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Slices, NDArray[np.float32]]]:
        """Yield the probability of foreground tile by tile, in memory that does not grow with the image.

        Parameters
        ----------
        image, limits, tile, check
            As in `predict`.

        Yields
        ------
        core : (slice, slice)
            Rows and columns of the image; the cores cover it without overlap.
        probability : ndarray of float32
            Of these pixels.

        Raises
        ------
        InputError
            As `predict` does.
        """
        for core, maps in self.predict_map_tiles(image, limits=limits, tile=tile, check=check):
            yield core, maps[0]

    def predict_map_tiles(
        self,
        image: NDArray[Any] | GreyImage,
        *,
        limits: Limits | None = None,
        tile: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Slices, NDArray[np.float32]]]:
        """Yield all maps tile by tile; see `predict_tiles`.

        Yields
        ------
        core : (slice, slice)
            Rows and columns of the image.
        maps : ndarray of float32, shape (K, rows, columns)
            Of these pixels, in the order of ``settings.maps``.
        """
        yield from self._run_tiles(Normaliser(image, self.info.normalisation, limits), tile, check)

    def _run_tiles(
        self, scaled: Normaliser, tile: int | None, check: Callable[[], None] | None
    ) -> Iterator[tuple[Slices, NDArray[np.float32]]]:
        tile = self.tile if tile is None else tile
        if tile < 1:
            raise InputError(f"The tile's side is {tile} pixels; give a positive number.")
        for part in split_into_tiles(pad_shape(scaled.shape, self.settings.multiple), tile, self.settings):
            result = self.engine.run(read_padded(scaled, part.extent), check, part.inside)[:, *part.inside]
            rows, columns = core = crop_to_image(part.core, scaled.shape)
            height, width = rows.stop - rows.start, columns.stop - columns.start
            if height > 0 and width > 0:
                yield core, result[:, :height, :width]

    def save(self, path: str | Path) -> None:
        """Write the model to a ``.blunet`` file, replacing it in one step.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        write_file(path, self.weights, self.info)


def load_model(path: str | Path | None = None, *, threads: int | None = None) -> PackedModel:
    """Read a packed model.

    Parameters
    ----------
    path : str or Path, optional
        A ``.blunet`` file. None: the model that comes with the package.
    threads : int, optional
        How many threads share the work, at least 1. None: one for each processor.

    Returns
    -------
    PackedModel

    Raises
    ------
    InputError
        If there is no such file, or it is not a sound ``.blunet`` file.

    Examples
    --------
    >>> load_model().info.threshold
    0.5
    """
    if path is None and not BUNDLED.exists():
        raise InputError(f"The bundled model '{BUNDLED}' is missing; install napari-blunet again or give a model file.")
    file = BUNDLED if path is None else Path(path)
    weights, info = read_file(file)
    return PackedModel(weights, info, file, threads)

"""Which channels and slices the images of some sources have, for a window that asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blunet.errors import InputError
from blunet.images.image_files import images_of, is_zarr, microscope_file_of
from blunet.images.microscope_files import open_microscope_images
from blunet.images.ome_zarr import open_images
from blunet.images.plane_choice import PlaneImage, choose_channel
from blunet.images.tiff_planes import open_tiff_planes


@dataclass(frozen=True)
class PlaneOptions:
    """What can be chosen.

    Attributes
    ----------
    channels : tuple of str
        Their names, empty where a file does not name one.
    slices, frames : int
        Lengths of these axes.
    dic : str or None
        Name of the channel that is taken without a choice; None: it is not clear which.
    """

    channels: tuple[str, ...] = ()
    slices: int = 1
    frames: int = 1
    dic: str | None = None


def find_plane_options(sources: Sequence[str | Path]) -> PlaneOptions:
    """Return what the first image of sources has; nothing if it cannot be opened, as what opens it will say."""
    try:
        image = _open(images_of(sources[0])[0]) if sources else None
    except InputError:
        return PlaneOptions()
    if image is None:
        return PlaneOptions()
    count = image.size("c")
    names = tuple(image.channels[i].strip() if i < len(image.channels) else "" for i in range(count))
    try:
        chosen = choose_channel(names, count, None, "", image.contrasts)
        dic = names[chosen] or f"Channel {chosen}"
    except InputError:
        dic = None
    return PlaneOptions(names, image.size("z"), image.size("t"), dic)


def _open(path: Path) -> PlaneImage | None:
    if microscope_file_of(path) is not None:
        return open_microscope_images(path)[0]
    if is_zarr(path):
        return open_images(path)[0][0]
    return open_tiff_planes(path) if path.suffix.lower() in (".tif", ".tiff") else None

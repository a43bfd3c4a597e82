"""The images of a segmentation, and the names of the files that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blunet.errors import InputError
from blunet.images.frame_source import ALL_PLANES, FrameSource
from blunet.images.image_files import find_images, is_zarr, microscope_file_of, stem_of, without_repeats
from blunet.images.microscope_files import open_microscope_images
from blunet.images.ome_zarr import ZarrImage, open_image, open_images
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.events import Skipped
from blunet.jobs.result_files import LABELS

if TYPE_CHECKING:
    from blunet.jobs.layer_plan import PlannedLayer


@dataclass(frozen=True)
class Input:
    """An image file, or the files of a time-lapse.

    Attributes
    ----------
    path : Path
        The file, the folder of a time-lapse, or that of an image in an OME-Zarr.
    stem : str
        The names of the result files begin with it.
    frames : FrameSource, optional
        Of a time-lapse, with the channel and slice that are wanted. None: the file is opened when its turn comes.
    zarr : ZarrImage, optional
        The image of an OME-Zarr, if the input is one.
    remark : str
        What is to be said about the input; empty: nothing.
    """

    path: Path
    stem: str
    frames: FrameSource | None = None
    zarr: ZarrImage | None = None
    remark: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the input."""
        paths = (self.path,) if self.frames is None else self.frames.paths
        return tuple(dict.fromkeys(microscope_file_of(path) or path for path in paths))

    def open(self, planes: PlaneChoice = ALL_PLANES) -> FrameSource:
        """Return the frames of the channel and slice that are wanted.

        Raises
        ------
        InputError
            If the file cannot be opened, or it is not clear which channel or slice is wanted.
        """
        if self.frames is not None:
            return self.frames
        if self.zarr is not None:
            return FrameSource.from_planes(self.zarr, planes)
        return FrameSource.from_file(self.path, planes)


def find_inputs(
    sources: Sequence[str | Path], *, time_lapse: bool = False, planes: PlaneChoice = ALL_PLANES
) -> tuple[list[Input], list[Skipped]]:
    """Return the inputs that files, folders and patterns mean, and the sources that cannot be used.

    Parameters
    ----------
    sources : sequence of str or Path
    time_lapse : bool
        Whether all single images are the frames of one time-lapse, as the viewer opens them: images of another size or
        type than most are skipped.
    planes : PlaneChoice
        Channel and slice of the images of a time-lapse, whose headers are read here.

    Raises
    ------
    InputError
        If the only source gives no image, or no file of a time-lapse opens.
    """
    if time_lapse:
        from blunet.jobs.layer_plan import plan_layers  # here, as a single file needs no threads that read headers

        plan = plan_layers(sources, masks=False, most=None, planes=planes)
        return [_planned(layer) for layer in plan.layers], list(plan.skipped)
    images, refused = find_images(sources)
    inputs: list[Input] = []
    for path in images:
        if not is_zarr(path) and microscope_file_of(path) is None:
            inputs.append(Input(path, stem_of(path)))
            continue
        try:
            if not is_zarr(path):
                inputs += [Input(image.path, image.stem) for image in open_microscope_images(path)]
                continue
            found, unusable = open_images(path)
        except InputError as e:
            if len(images) == 1 and not refused:
                raise
            refused.append((path, str(e)))
        else:
            inputs += [Input(image.path, image.stem, zarr=image) for image in found]
            refused += unusable
    by_path = {each.path: each for each in reversed(inputs)}
    inputs = [by_path[path] for path in without_repeats(each.path for each in inputs)]  # a plate and a well of it
    return inputs, [Skipped(*each) for each in refused]


def _planned(layer: PlannedLayer) -> Input:
    """Return the input that a layer of a time-lapse is."""
    paths = layer.frames.paths
    if len(paths) == 1 and is_zarr(paths[0]):
        image = open_image(paths[0])
        return Input(image.path, image.stem, layer.frames, image)
    return Input(layer.source or Path(layer.frames.name), layer.name, layer.frames, remark=layer.remark)


def check_outputs(inputs: Sequence[Input], out: Path, files: Sequence[str]) -> None:
    """Check that results overwrite neither each other nor an input, and do not lie within an OME-Zarr.

    Parameters
    ----------
    inputs : sequence of Input
    out : Path
        Folder of the results.
    files : sequence of str
        Ends of the names of the files that will be written.

    Raises
    ------
    InputError
        If one would be overwritten, or the folder lies in a Zarr.
    """
    for folder in (out.absolute(), *out.absolute().parents):
        if is_zarr(folder):
            raise InputError(f"The output folder '{out}' lies in the Zarr '{folder}'; choose one outside of it.")
    writers: dict[str, Path] = {}
    read = {path.resolve() for each in inputs for path in each.files}
    for each in inputs:
        # Many file systems do not distinguish upper and lower case.
        if (other := writers.setdefault(each.stem.casefold(), each.path)) != each.path:
            raise InputError(
                f"'{other}' and '{each.path}' would both write '{out / each.stem}_{LABELS}'; rename one, or "
                "segment them into different folders."
            )
        for file in files:
            if (output := out / f"{each.stem}_{file}").resolve() in read:
                raise InputError(
                    f"The result of '{each.path}' would overwrite the input '{output}'; choose another output folder."
                )

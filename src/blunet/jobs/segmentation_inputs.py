"""The images of a segmentation, and the names of the files that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import find_images, stem_of
from blunet.jobs.events import Skipped
from blunet.jobs.result_files import LABELS


@dataclass(frozen=True)
class Input:
    """An image file, or the files of a time-lapse.

    Attributes
    ----------
    path : Path
        The file, or the folder of a time-lapse.
    stem : str
        The names of the result files begin with it.
    frames : FrameSource, optional
        None: the file is opened when its turn comes.
    """

    path: Path
    stem: str
    frames: FrameSource | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the input."""
        return (self.path,) if self.frames is None else self.frames.paths

    def open(self) -> FrameSource:
        """Return the frames.

        Raises
        ------
        InputError
            If the file cannot be opened.
        """
        return FrameSource.from_file(self.path) if self.frames is None else self.frames


def find_inputs(sources: Sequence[str | Path], *, time_lapse: bool = False) -> tuple[list[Input], list[Skipped]]:
    """Return the inputs that files, folders and patterns mean, and the sources that cannot be used.

    Parameters
    ----------
    sources : sequence of str or Path
    time_lapse : bool
        Whether all single images are the frames of one time-lapse, as the viewer opens them: images of another size or
        type than most are skipped.

    Raises
    ------
    InputError
        If the only source gives no image, or no file of a time-lapse opens.
    """
    if time_lapse:
        from blunet.jobs.layer_plan import plan_layers  # here, as a single file needs no threads that read headers

        plan = plan_layers(sources, masks=False, most=None)
        inputs = [Input(layer.source or Path(layer.frames.name), layer.name, layer.frames) for layer in plan.layers]
        return inputs, list(plan.skipped)
    images, refused = find_images(sources)
    return [Input(path, stem_of(path)) for path in images], [Skipped(*each) for each in refused]


def check_outputs(inputs: Sequence[Input], out: Path, files: Sequence[str]) -> None:
    """Check that results overwrite neither each other nor an input.

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
        If one would be overwritten.
    """
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

"""`blunet segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blunet.cli.console import (
    BAD_INPUT,
    INTERRUPTED,
    SOME_SKIPPED,
    fail,
    given_path,
    note,
    print_json,
    report_errors,
    say,
    use_threads,
    warn,
)  # fmt: skip
from blunet.cli.progress import Bar
from blunet.cli.setting_help import select_given
from blunet.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blunet.jobs.events import Segmented
    from blunet.jobs.image_segmentation import Event


@report_errors
def segment(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Files, folders (their images) or patterns such as 'plate/*.tif'."),
    ],
    out: Annotated[
        Path,
        typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; it is made if missing."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="FILE", help="A model file. Not given: the bundled model."),
    ] = None,
    threshold: Annotated[float | None, typer.Option(metavar="T")] = None,
    splitting: Annotated[float | None, typer.Option(metavar="S")] = None,
    min_size: Annotated[int | None, typer.Option(metavar="PX")] = None,
    objects: Annotated[str | None, typer.Option(metavar="KIND")] = None,
    diameter: Annotated[float | None, typer.Option(metavar="PX")] = None,
    time_lapse: Annotated[
        bool,
        typer.Option(
            "--time-lapse",
            help="The images are the frames of one time-lapse: they are normalised alike, their objects are numbered "
            "on from frame to frame, and the results are stacks.",
        ),
    ] = False,
    probability: Annotated[bool, typer.Option("--probability", help="Also write x_probability.tif.")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Also write x_objects.csv.")] = False,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="Channel of a file with several: its name, or its number from 0. Not given: the one named DIC, or "
            "else another one of transmitted light.",
        ),
    ] = None,
    z: Annotated[
        str | None,
        typer.Option(
            "--z",
            metavar="Z",
            help="Slice of a Z stack: its number counted from 0, or best-focus for the sharpest of each frame. Not "
            "given: the slices are segmented one by one.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Also write the labels into each OME-Zarr, as labels/NAME beside the image."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted batch: leave out images whose results were made from the same file by the "
            "same model, settings and version.",
        ),
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="Also write a table with one row an image: a .csv or .parquet file."
        ),
    ] = None,
    objects_table: Annotated[
        Path | None,
        typer.Option(
            "--objects-table",
            parser=given_path,
            metavar="FILE",
            help="Also write one table of the objects of all images: a .csv or .parquet file. Measures the objects.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Share the images among N processes of one thread on this computer."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Share the images among the workers of a Dask scheduler: tcp://node1:8786."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Number of threads. Not given: all processors.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Find the cells in images and write them as label images."""
    use_threads(threads)
    from blunet.images.plane_choice import PlaneChoice, read_slice
    from blunet.jobs.batch_tables import check_tables
    from blunet.jobs.cluster import Cluster
    from blunet.jobs.file_segmentation import segment_files
    from blunet.jobs.model_files import open_model, resolve_model_path
    from blunet.segmentation.segmentation_settings import SegmentationSettings

    check_tables(summary, objects_table)
    settings = SegmentationSettings(
        **select_given(threshold=threshold, splitting=splitting, min_size=min_size, objects=objects, diameter=diameter)
    )
    report = _Report(str(resolve_model_path(model)), out, quiet=as_json)
    try:
        report.follow(
            segment_files(
                images,
                out,
                open_model(model),
                settings,
                time_lapse=time_lapse,
                save_probability=probability,
                save_measurements=measure or objects_table is not None,
                planes=PlaneChoice(channel, read_slice(z)),
                into=into,
                resume=resume,
                cluster=Cluster(workers, scheduler) if workers is not None or scheduler is not None else None,
            )
        )
    except KeyboardInterrupt as e:
        note(f"Stopped: {report.written} of {_count(report.total, 'input')} done. Repeat it with --resume to go on.")
        raise typer.Exit(INTERRUPTED) from e
    try:
        report.record.write(summary, objects_table)
    except InputError as e:  # the results of the images are there, and are reported
        fail(str(e))
        report.finish()
        raise typer.Exit(SOME_SKIPPED) from e
    report.finish()


class _Report:
    """Prints events as they come, and collects the content for `--json`.

    Parameters
    ----------
    model : str
        The model's file.
    out : Path
        The folder of results.
    quiet : bool
        Whether to print JSON only.
    """

    def __init__(self, model: str, out: Path, *, quiet: bool) -> None:
        self.out = out
        self.quiet = quiet
        self.total = 0
        self.wide = 0
        from blunet.jobs.batch_tables import BatchRecord  # here, as a command's help needs no tables

        self.earlier = 0
        self.content: dict[str, Any] = {"images": [], "model": model, "skipped": []}
        self.record = BatchRecord()

    @property
    def seen(self) -> int:
        """Number of inputs that were segmented or skipped."""
        return self.written + len(self.content["skipped"])

    @property
    def written(self) -> int:
        """Number of images whose files are complete."""
        return len(self.content["images"])

    def follow(self, events: Iterable[Event]) -> None:
        """Show the events of the job until it ends."""
        from blunet.jobs.events import FrameDone, Segmented, Skipped, Started, Warned

        with Bar("Segmenting") as bar:
            for event in events:
                self.record.add(event)
                match event:
                    case Started(images):
                        self.total = self.seen + len(images)
                        self.wide = max((len(str(path)) for path in images), default=0)
                    case FrameDone(frame=frame, frames=frames):
                        bar.update(self.seen + frame / frames)
                        continue
                    case Warned(message=message):
                        with bar.paused():
                            warn(message)
                    case Skipped(image, reason):
                        self.content["skipped"].append({"image": str(image), "reason": reason})
                        with bar.paused():
                            fail(reason)
                    case Segmented():
                        self.content["images"].append(_plain(event))
                        self.earlier += event.earlier
                        with bar.paused():
                            self._line(event)
                bar.update(self.seen, self.total)

    def finish(self) -> None:
        """Print the summary, and exit with the code that says how it went."""
        skipped = len(self.content["skipped"])
        if self.quiet:
            print_json(self.content)
        elif self.written:
            objects = sum(image["objects"] for image in self.content["images"])
            before = f" ({self.earlier:,} finished before)" if self.earlier else ""
            say(f"{_count(self.written, 'image')} with {_count(objects, 'object')} -> {self.out}{before}")
        if not self.written:
            raise typer.Exit(BAD_INPUT)
        if skipped:
            note(f"{_count(skipped, 'input')} skipped of {self.total}.")
            raise typer.Exit(SOME_SKIPPED)

    def _line(self, event: Segmented) -> None:
        if not self.quiet and not event.earlier:
            say(
                f"{event.image!s:<{self.wide}}  {_count(event.objects, 'object'):<14}"
                f"  {event.foreground:>6.1%} foreground  {event.seconds:>6.1f} s"
            )


def _plain(event: Segmented) -> dict[str, Any]:
    return {
        "image": str(event.image),
        "labels": str(event.labels),
        "objects": event.objects,
        "foreground": event.foreground,
        "seconds": event.seconds,
    }


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing if number == 1 else thing + 's'}"

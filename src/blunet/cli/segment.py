"""`blunet segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from blunet.cli import segment_options as options
from blunet.cli.console import (
    BAD_INPUT,
    INTERRUPTED,
    SOME_SKIPPED,
    fail,
    note,
    print_json,
    report_errors,
    say,
    use_threads,
    warn,
)  # fmt: skip
from blunet.cli.progress import Bar
from blunet.cli.setting_help import select_given

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blunet.jobs.batch_tables import BatchRecord
    from blunet.jobs.events import Segmented
    from blunet.jobs.image_segmentation import Event


@report_errors
def segment(
    images: options.Images,
    out: options.Out,
    model: options.Model = None,
    threshold: options.Threshold = None,
    splitting: options.Splitting = None,
    min_size: options.MinSize = None,
    objects: options.Objects = None,
    diameter: options.Diameter = None,
    time_lapse: options.TimeLapse = False,
    probability: options.Probability = False,
    measure: options.Measure = False,
    channel: options.Channel = None,
    z: options.Slice = None,
    into: options.Into = None,
    resume: options.Resume = False,
    summary: options.Summary = None,
    objects_table: options.ObjectsTable = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
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
    events = segment_files(
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
    _follow(events, _Report(str(resolve_model_path(model)), out, quiet=as_json), summary, objects_table)


def _follow(events: Iterable[Event], report: _Report, summary: Path | None, objects: Path | None) -> None:
    """Show the events of a batch, write its tables, and exit with the code that says how it went."""
    from blunet.jobs.batch_tables import TableError, recording

    try:
        with recording(summary, objects) as record:
            report.follow(events, record)
    except KeyboardInterrupt as e:
        note(f"Stopped: {report.written} of {_count(report.total, 'input')} done. Repeat it with --resume to go on.")
        raise typer.Exit(INTERRUPTED) from e
    except TableError as e:  # the results of the images are there, and are reported
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
        self.earlier = 0
        self.content: dict[str, Any] = {"images": [], "model": model, "skipped": []}

    @property
    def seen(self) -> int:
        """Number of inputs that were segmented or skipped."""
        return self.written + len(self.content["skipped"])

    @property
    def written(self) -> int:
        """Number of images whose files are complete."""
        return len(self.content["images"])

    def follow(self, events: Iterable[Event], record: BatchRecord) -> None:
        """Show the events of the job until it ends, and keep them."""
        from blunet.jobs.events import FrameDone, PieceDone, Segmented, Skipped, Started, Warned

        with Bar("Segmenting") as bar:
            for event in events:
                record.add(event)
                match event:
                    case Started(images):
                        self.total = self.seen + len(images)
                        self.wide = max((len(str(path)) for path in images), default=0)
                    case FrameDone(frame=frame, frames=frames):
                        bar.update(self.seen + frame / frames)
                        continue
                    case PieceDone(done=done):
                        bar.update(self.seen + done)
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

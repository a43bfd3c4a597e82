"""`blunet import-annotations`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

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
    warn,
)  # fmt: skip
from blunet.cli.progress import Bar
from blunet.errors import InputError


@report_errors
def import_annotations(
    source: Annotated[
        Path,
        typer.Argument(
            parser=given_path, metavar="SOURCE", help="A file or folder of annotations, with the images beside it."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=given_path, metavar="DIR", help="Folder that receives 'images' and 'masks'; it is made if missing."
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="ctc, coco, roi, geojson, labelme, cellpose or masks. Not given: recognised by the content.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="DIR", help="Folder of the images, if they are not beside SOURCE."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="NAME", help="A class whose outlines are cells; can be repeated. Not given: all classes."
        ),
    ] = None,
    offset: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Where the image begins in the coordinates of the outlines, if it was cut from a larger one.",
        ),
    ] = None,
    origin: Annotated[
        str, typer.Option(metavar="TEXT", help="Who or what made the labels: goes into the card of a model.")
    ] = "",
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Licence of the images and labels: goes into the card of a model.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Make training data of the annotations of other programs."""
    from blunet.jobs.annotation_import import Imported, Recognised
    from blunet.jobs.annotation_import import import_annotations as job
    from blunet.jobs.events import Skipped, Started, Warned

    content: dict[str, Any] = {"format": "", "images": [], "skipped": [], "warnings": []}
    total = wide = 0
    try:
        with Bar("Importing") as bar:
            for event in job(
                source,
                out,
                format=format,
                images=images,
                kinds=kinds or (),
                offset=_read_offset(offset),
                origin=origin,
                licence=licence,
            ):
                with bar.paused():
                    match event:
                        case Recognised(name, remarks):
                            content["format"] = name
                            content["warnings"] += remarks
                            for remark in remarks:
                                note(remark)
                        case Started(paths):
                            total = len(paths)
                            wide = max(len(path.name) for path in paths)
                        case Skipped(path, reason):
                            content["skipped"].append({"image": str(path), "reason": reason})
                            fail(reason)
                        case Warned(message=message):
                            content["warnings"].append(message)
                            warn(message)
                        case Imported():
                            content["images"].append(_plain(event))
                            if not as_json:
                                frames = f"  {len(event.names)} frames" if len(event.names) > 1 else ""
                                say(f"{event.image.name:<{wide}}  {event.counts.objects:>6,} cells{frames}")
                bar.update(len(content["images"]), total)
    except KeyboardInterrupt as e:
        note(f"Stopped: {len(content['images'])} of {total} images imported.")
        raise typer.Exit(INTERRUPTED) from e
    if as_json:
        print_json(content)
    elif content["images"]:
        pairs = sum(len(each["names"]) for each in content["images"])
        cells = sum(each["objects"] for each in content["images"])
        say(f"{pairs:,} pair{'s' * (pairs != 1)} with {cells:,} cells ({content['format']}) -> {out}")
        say(f"Train on them  {shlex.join(['blunet', 'compress', '--data', str(out), '--out', 'RUN'])}")
    if not content["images"]:
        raise typer.Exit(BAD_INPUT)
    if content["skipped"]:
        raise typer.Exit(SOME_SKIPPED)


def _read_offset(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError as e:
        raise InputError(f"The offset is '{text}'; give two numbers of pixels, such as 1024,2048.") from e
    if not abs(x) + abs(y) < 1e9:
        raise InputError(f"The offset is '{text}'; give finite numbers of pixels.")
    return x, y


def _plain(event: Any) -> dict[str, Any]:
    counts = event.counts
    return {
        "image": str(event.image),
        "annotation": str(event.annotation),
        "names": list(event.names),
        "objects": counts.objects,
        "overlapping": counts.overlapping,
        "hidden": counts.hidden,
        "outside": counts.outside,
        "empty": counts.empty,
        "unusable": counts.unusable,
        "not_single_objects": event.left_out,
        "crowds": event.crowds,
    }

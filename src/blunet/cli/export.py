"""`blunet export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
)  # fmt: skip
from blunet.cli.progress import Bar


@report_errors
def export(
    labels: Annotated[
        list[str],
        typer.Argument(metavar="LABELS", help="Files of labels, or folders with 'x_labels.tif' files in them."),
    ],
    out: Annotated[
        Path,
        typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; it is made if missing."),
    ],
    format: Annotated[
        Literal["roi", "geojson", "ctc", "ome-zarr", "csv", "parquet"],
        typer.Option(
            help="roi: x_RoiSet.zip for ImageJ and Fiji. geojson: for QuPath, with measurements. ctc: x_RES "
            "of the Cell Tracking Challenge. ome-zarr: image and "
            "labels. csv, parquet: a table of the objects."
        ),
    ],
    image: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="IMAGE",
            help="The image of the labels, or the folder of the images: grey values for measurements.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Write labels as files of other programs."""
    from blunet.jobs.events import Skipped, Started
    from blunet.jobs.label_export import Exported, export_labels

    content: dict[str, Any] = {"format": format, "files": [], "skipped": []}
    total = wide = 0
    try:
        with Bar("Exporting") as bar:
            for event in export_labels(labels, out, format, image=image):
                with bar.paused():
                    match event:
                        case Started(paths):
                            total, wide = len(paths), max(len(str(path)) for path in paths)
                        case Skipped(path, reason):
                            content["skipped"].append({"labels": str(path), "reason": reason})
                            fail(reason)
                        case Exported(path, written, objects):
                            content["files"].append({"labels": str(path), "file": str(written), "objects": objects})
                            if not as_json:
                                say(f"{path!s:<{wide}}  {objects:>7,} objects -> {written}")
                bar.update(len(content["files"]), total)
    except KeyboardInterrupt as e:
        note(f"Stopped: {len(content['files'])} of {total} files written.")
        raise typer.Exit(INTERRUPTED) from e
    if as_json:
        print_json(content)
    if not content["files"]:
        raise typer.Exit(BAD_INPUT)
    if content["skipped"]:
        raise typer.Exit(SOME_SKIPPED)

"""The options of `blunet segment`, with the help that they have there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blunet.cli.console import given_path

Images = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE", help="Files, folders (their images) or patterns such as 'plate/*.tif'."),
]
Out = Annotated[
    Path,
    typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; it is made if missing."),
]
Model = Annotated[
    Path | None,
    typer.Option(parser=given_path, metavar="FILE", help="A model file. Not given: the bundled model."),
]
# Their help is that of the settings.
Threshold = Annotated[float | None, typer.Option(metavar="T")]
Splitting = Annotated[float | None, typer.Option(metavar="S")]
MinSize = Annotated[int | None, typer.Option(metavar="PX")]
Objects = Annotated[str | None, typer.Option(metavar="KIND")]
Diameter = Annotated[float | None, typer.Option(metavar="PX")]

TimeLapse = Annotated[
    bool,
    typer.Option(
        "--time-lapse",
        help="The images are the frames of one time-lapse: they are normalised alike, their objects are numbered "
        "on from frame to frame, and the results are stacks.",
    ),
]
Probability = Annotated[bool, typer.Option("--probability", help="Also write x_probability.tif.")]
Measure = Annotated[bool, typer.Option("--measure", help="Also write x_objects.csv.")]
Channel = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="Channel of a file with several: its name, or its number from 0. Not given: the one named DIC, or "
        "else another one of transmitted light.",
    ),
]
Slice = Annotated[
    str | None,
    typer.Option(
        "--z",
        metavar="Z",
        help="Slice of a Z stack: its number counted from 0, or best-focus for the sharpest of each frame. Not "
        "given: the slices are segmented one by one.",
    ),
]
Into = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Also write the labels into each OME-Zarr, as labels/NAME beside the image."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with an interrupted batch: leave out images whose results were made from the same file by the "
        "same model, settings and version.",
    ),
]
Summary = Annotated[
    Path | None,
    typer.Option(
        parser=given_path, metavar="FILE", help="Also write a table with one row an image: a .csv or .parquet file."
    ),
]
ObjectsTable = Annotated[
    Path | None,
    typer.Option(
        "--objects-table",
        parser=given_path,
        metavar="FILE",
        help="Also write one table of the objects of all images: a .csv or .parquet file. Measures the objects.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Share the images among N processes of one thread on this computer."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Share the images among the workers of a Dask scheduler: tcp://node1:8786."),
]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Number of threads. Not given: all processors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]

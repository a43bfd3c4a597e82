"""`blunet track`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blunet.cli.console import given_path, print_json, report_errors, say, warn
from blunet.cli.progress import Bar
from blunet.cli.setting_help import select_given
from blunet.errors import InputError

if TYPE_CHECKING:
    from blunet.jobs.track_files import TracksWritten


@report_errors
def track(
    labels: Annotated[
        Path,
        typer.Argument(
            parser=given_path,
            metavar="LABELS",
            help="A stack of label images, or a folder with a file a frame: mask000.tif, mask001.tif, ... or any names "
            "in natural order.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; it is made if missing.")
    ],
    max_step: Annotated[
        str | None,
        typer.Option(
            "--max-step",
            metavar="STEP",
            help="The furthest that an object moves from one frame to the next, in pixels (30) or in micrometres "
            "(12um). Not given: estimated.",
        ),
    ] = None,
    gap: Annotated[int | None, typer.Option(metavar="N")] = None,
    no_divisions: Annotated[
        bool, typer.Option("--no-divisions", help="No object divides: a new object has no parent.")
    ] = False,
    no_mend: Annotated[
        bool,
        typer.Option("--no-mend", help="Leave objects as they are that are missing, in pieces or merged for a moment."),
    ] = False,
    method: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="IMAGE",
            help="The images that were segmented, a stack or a folder, for methods that look at them.",
        ),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write the tables as Parquet.")] = False,
    geff: Annotated[bool, typer.Option("--geff", help="Also write the tracks as a graph, tracks.geff.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Follow the objects of a time-lapse of labels, and write their tracks and divisions."""
    from blunet.jobs.events import FrameDone, Warned
    from blunet.jobs.track_files import TracksWritten, track_files
    from blunet.tracking.tracking_settings import TrackingSettings

    chosen = select_given(gap=gap, method=method) | _read_step(max_step)
    settings = TrackingSettings(**chosen, divisions=not no_divisions, mend=not no_mend)
    with Bar("Tracking") as bar:
        for event in track_files(labels, out, settings, image=image, parquet=parquet, geff=geff):
            match event:
                case FrameDone(frame=frame, frames=frames):
                    bar.update(frame / 2, frames / 2, "Measuring" if frame * 2 <= frames else "Writing")
                case Warned(message=message):
                    with bar.paused():
                        warn(message)
                case TracksWritten():
                    written = event
    if as_json:
        print_json(_plain(written))
    else:
        _print(written)


def _read_step(text: str | None) -> dict[str, Any]:
    """Return the settings of a step such as 30, 30px or 12.5um.

    Raises
    ------
    InputError
        If it is none.
    """
    if text is None:
        return {}
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(px|um|µm|\u03bcm|)\s*", text)
    if found is None:
        raise InputError(f"The largest step is '{text}'; give pixels, such as 30, or micrometres, such as 12um.")
    return {"max_step": float(found[1]), "step_unit": "px" if found[2] in ("", "px") else "um"}


def _plain(written: TracksWritten) -> dict[str, Any]:
    tracks = written.tracks
    return {
        "labels": str(written.labels),
        "out": str(written.out),
        "frames": tracks.frames,
        "objects": int(tracks.track.size),
        "tracks": int(tracks.numbers.size),
        "divisions": tracks.divisions,
        "mended": [{"frame": mend.frame, "track": mend.track, "what": mend.flaw} for mend in tracks.mended],
        "seconds": written.seconds,
    }


def _print(written: TracksWritten) -> None:
    tracks = written.tracks
    say(
        f"{_count(tracks.numbers.size, 'track')} of {_count(tracks.track.size, 'object')} in "
        f"{_count(tracks.frames, 'frame')}, {_count(tracks.divisions, 'division')}  ->  {written.out}"
    )
    for flaw, words in (("missing", "filled in"), ("split", "joined"), ("merged", "parted")):
        mended = [mend for mend in tracks.mended if mend.flaw == flaw]
        if mended:
            places = ", ".join(f"track {mend.track} in frame {mend.frame}" for mend in mended[:3])
            more = f" and {len(mended) - 3:,} more, listed in tracking.json" if len(mended) > 3 else ""
            say(f"Mended: {_count(len(mended), 'object')} {flaw}, {words} ({places}{more})")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing if number == 1 else thing + 's'}"

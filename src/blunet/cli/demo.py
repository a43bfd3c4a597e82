"""`blunet demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blunet.cli.console import given_path, report_errors, say
from blunet.cli.progress import Bar


@report_errors
def demo(
    out: Annotated[
        Path,
        typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; it is made if missing."),
    ] = Path("demo"),
) -> None:
    """Segment the bundled sample image and draw the outlines."""
    from blunet.jobs import demonstration as job
    from blunet.jobs.model_files import open_model

    with Bar("Segmenting the sample"):
        shown = job.demonstrate(out, open_model())
    labels, probability, overlay = shown.files
    say(f"{shown.objects} objects in the sample image")
    say(f"  labels       {labels}")
    say(f"  probability  {probability}")
    say(f"  overlay      {overlay}")
    say(f"IoU {shown.scores.iou:.3f}; {shown.scores.cells.sentence}")

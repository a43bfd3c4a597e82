"""`blunet demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blunet.cli.console import ends_well, given_path, say
from blunet.cli.progress import Bar


@ends_well
def demo(
    out: Annotated[
        Path, typer.Option(parser=given_path, metavar="DIR", help="Folder for the results; made if needed.")
    ] = Path("demo"),
) -> None:
    """Segment the bundled sample image and draw the outlines."""
    from blunet.jobs import demonstration as job
    from blunet.jobs.model_files import open_model

    with Bar("Segmenting the sample"):
        shown = job.demo(out, open_model())
    labels, probability, overlay = shown.files
    say(f"{shown.objects} objects in the sample image")
    say(f"  labels       {labels}")
    say(f"  probability  {probability}")
    say(f"  overlay      {overlay}")
    say(f"IoU {shown.scores.iou:.3f}")

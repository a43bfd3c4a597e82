"""`blunet import-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from blunet.cli.console import given_path, report_errors, say


@report_errors
def import_weights(
    file: Annotated[Path, typer.Argument(parser=given_path, metavar="FILE.h5", help="A published checkpoint (HDF5).")],
    network: Annotated[
        Literal["unet", "lightweight", "blunet"], typer.Option(help="The network that the checkpoint holds.")
    ],
    out: Annotated[
        Path, typer.Option(parser=given_path, metavar="FILE", help="A .blunet file for a blunet, else a .keras file.")
    ],
) -> None:
    """Turn a published checkpoint into a model file."""
    from blunet.jobs import weight_import as job

    written = job.import_weights(file, network, out)
    say(f"{network} -> {written} ({written.stat().st_size:,} bytes)")

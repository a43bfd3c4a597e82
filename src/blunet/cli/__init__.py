"""The command `blunet`: the jobs in a terminal.

Only what parses the command line is imported here: each command imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from blunet import __version__
from blunet.cli.benchmark import benchmark
from blunet.cli.compress import compress
from blunet.cli.demo import demo
from blunet.cli.evaluate import evaluate
from blunet.cli.export import export
from blunet.cli.import_annotations import import_annotations
from blunet.cli.import_weights import import_weights
from blunet.cli.info import info
from blunet.cli.segment import segment
from blunet.cli.setting_help import make_settings_command
from blunet.cli.track import track

__all__ = ["app", "main"]

#: Commands with settings of a segmentation, of tracking, of a compression, and of a benchmark.
SEGMENTATION = make_settings_command("blunet.segmentation.segmentation_settings", "SegmentationSettings")
TRACKING = make_settings_command("blunet.tracking.tracking_settings", "TrackingSettings")
COMPRESSION = make_settings_command("blunet.compression.run_request", "Request")
BENCHMARK = make_settings_command("blunet.jobs.benchmark_settings", "BenchmarkSettings")

app = typer.Typer(
    name="blunet",
    help="Segment cells in DIC microscopy with a binary U-Net.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"blunet {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Segment cells in DIC microscopy with a binary U-Net of 1.4 MiB, without a GPU."""


app.command()(demo)
app.command(cls=SEGMENTATION)(segment)
app.command(cls=TRACKING)(track)
app.command()(info)
app.command("import-weights")(import_weights)
app.command("import-annotations")(import_annotations)
app.command()(export)
app.command(cls=SEGMENTATION)(evaluate)
app.command(cls=COMPRESSION)(compress)
app.command(cls=BENCHMARK)(benchmark)


def main() -> None:
    """Run the command line."""
    app(prog_name="blunet")

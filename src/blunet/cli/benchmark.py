"""`blunet benchmark`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from blunet.cli.console import print_json, report_errors, say
from blunet.cli.progress import Bar

if TYPE_CHECKING:
    from blunet.jobs.engine_benchmark import Benchmarked

TITLES = {
    "keras_unet": "U-Net, Keras",
    "keras_lightweight": "Lightweight U-Net, Keras",
    "keras_blunet": "BLU-Net, Keras",
    "packed_blunet": "BLU-Net, packed",
    "packed_coded_3": "  depthwise binarised, 3 levels",
    "packed_coded_2": "  depthwise binarised, 2 levels",
    "packed_coded_1": "  depthwise binarised, 1 level",
}
LOOPS = {"float32_loop": "float32 multiply-adds", "popcount_loop": "XNOR and popcount"}


@report_errors
def benchmark(
    size: Annotated[int, typer.Option(metavar="PX", help="Side of the square image in pixels.")] = 512,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Processor threads; without it, all.")] = None,
    levels: Annotated[int, typer.Option(metavar="L", help="Resolution levels of the networks.")] = 5,
    filters: Annotated[int, typer.Option(metavar="F", help="Filters at the highest resolution.")] = 64,
    rounds: Annotated[int, typer.Option(metavar="R", help="How often each engine runs.")] = 5,
    engine: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Time this engine only; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Time the packed network and the networks in Keras on this computer, side by side."""
    from blunet.jobs.engine_benchmark import Benchmarked, BenchmarkSettings, Preparing, Timed
    from blunet.jobs.engine_benchmark import benchmark as job

    settings = BenchmarkSettings(size, threads, levels, filters, rounds, tuple(engine) if engine else None)
    found: Benchmarked | None = None
    done = 0
    with Bar("Starting the engines") as bar:
        for event in job(settings):
            match event:
                case Preparing(name):
                    bar.update(done, None, f"Starting {TITLES.get(name, LOOPS.get(name, name)).strip()}")
                case Timed():
                    done += 1
                    bar.update(done, None, "Timing")
                case Benchmarked():
                    found = event
    assert found is not None
    if as_json:
        print_json(found.to_dict())
    else:
        _table(found)


def _table(found: Benchmarked) -> None:
    timed = {name: timing.to_dict() for name, timing in found.engines.items()}
    say(f"{found.size} x {found.size} pixels, {found.threads} thread{'s' * (found.threads > 1)}, {found.cpu}")
    say()
    unet = timed.get("keras_unet")
    say(f"{'':<32}{'median':>10}{'fastest':>11}{'images/s':>10}{'memory':>11}" + (f"{'U-Net =':>9}" if unet else ""))
    for name, title in TITLES.items():
        if name not in timed:
            continue
        figures = timed[name]
        seconds = figures["median_s"]
        line = f"{title:<32}{1000 * seconds:>7.1f} ms{1000 * figures['min_s']:>8.1f} ms{1 / seconds:>10.1f}"
        line += f"{figures['peak_rss_mib']:>7.0f} MiB"
        say(line + (f"{unet['median_s'] / seconds:>7.1f} x" if unet else ""))
    loops = [(LOOPS[name], timed[name]["gmac_per_s"]) for name in LOOPS if name in timed]
    if loops:
        say()
        say("This computer at its best: " + ", ".join(f"{rate:,.0f} G {title}/s" for title, rate in loops))

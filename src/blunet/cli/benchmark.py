"""`blunet benchmark`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from blunet.cli.console import print_json, report_errors, say
from blunet.cli.progress import Bar
from blunet.cli.setting_help import select_given

if TYPE_CHECKING:
    from blunet.jobs.engine_benchmark import Benchmarked

TITLES = {
    "keras_unet": "U-Net, Keras",
    "keras_lightweight": "Lightweight U-Net, Keras",
    "keras_blunet": "BLU-Net, Keras",
    "packed_blunet": "BLU-Net, packed",
    "packed_normalised": "  normalised, with two maps",
    "packed_coded_3": "  depthwise binarised, 3 levels",
    "packed_coded_2": "  depthwise binarised, 2 levels",
    "packed_coded_1": "  depthwise binarised, 1 level",
}
LOOPS = {"float32_loop": "float32 multiply-adds", "popcount_loop": "XNOR and popcount"}


@report_errors
def benchmark(
    size: Annotated[int | None, typer.Option(metavar="PX")] = None,
    threads: Annotated[int | None, typer.Option(metavar="N")] = None,
    levels: Annotated[int | None, typer.Option(metavar="L")] = None,
    base_filters: Annotated[int | None, typer.Option("--filters", metavar="F")] = None,
    rounds: Annotated[int | None, typer.Option(metavar="R")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Time only this engine. May be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Time the packed network and the networks in Keras on this computer, side by side."""
    from blunet.jobs.benchmark_settings import BenchmarkSettings
    from blunet.jobs.engine_benchmark import Benchmarked, Preparing, Timed
    from blunet.jobs.engine_benchmark import benchmark as job

    engines = tuple(engine) if engine else None
    settings = BenchmarkSettings(
        **select_given(
            size=size, threads=threads, levels=levels, base_filters=base_filters, rounds=rounds, engines=engines
        )
    )
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
        _print_table(found)


def _print_table(found: Benchmarked) -> None:
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

"""`blunet info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blunet.cli.console import given_path, print_json, report_errors, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blunet.jobs.model_files import ModelFile, OperationCost

NAMES = {"unet": "U-Net", "lightweight": "Lightweight U-Net", "blunet": "BLU-Net"}


@report_errors
def info(
    model: Annotated[Path, typer.Argument(parser=given_path, metavar="MODEL", help="A .blunet or .keras file.")],
    program: Annotated[
        bool, typer.Option("--program", help="Time every operation of a packed network, at 512 x 512.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """Show what is in a model file."""
    from blunet.jobs.model_files import inspect_model, measure_program

    found = inspect_model(model)
    if program:
        costs = measure_program(model)
        if as_json:
            print_json({**found.to_dict(), "program": [asdict(cost) for cost in costs]})
        else:
            _print_program(costs)
        return
    if as_json:
        print_json(found.to_dict())
        return
    rows = list(_list_rows(found))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        say(f"{name:<{width}}  {value}" if name else "")


def _print_program(costs: list[OperationCost]) -> None:
    """Print the operations with their costs."""
    say(f"{'layer':<22}{'kernel':<15}{'source':<14}{'pairs':>6}{'weights':>12}{'float':>12}{'binary':>12}{'time':>12}")
    for c in costs:
        products = "".join(f"{n / 1e6:>8,.0f} Mac" if n else f"{'':>12}" for n in (c.float_products, c.bit_products))
        operation = f"{c.layer:<22}{c.kernel:<15}{c.source:<14}{c.pairs or '':>6}{c.weight_bytes / 1024:>8,.0f} KiB"
        say(f"{operation}{products}{1000 * c.seconds:>9.2f} ms")
    say(f"{'all, 512 x 512':<22}{1000 * sum(c.seconds for c in costs):>80.2f} ms")


def _list_rows(found: ModelFile) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the table. An empty name is an empty line."""
    content, network = found.to_dict(), found.network
    yield "Model", str(found.path)
    yield "Network", NAMES[network.network]
    filters = [str(network.filters(level)) for level in range(network.levels)]
    yield "Levels", f"{network.levels}, with {', '.join(filters)} filters"
    if network.binary:
        levels = ", ".join(f"{name} {count}" for name, count in content["residual_levels"].items())
        yield "Residual levels", levels + (", depthwise results too" if network.binarize_depthwise else "")
    yield "", ""
    yield "Binary parameters", f"{content['binary_parameters']:>12,}"
    yield "Float parameters", f"{content['float_parameters']:>12,}"
    yield "Size", f"{content['size_mib']:>12,.5f} MiB"
    yield "File", f"{content['file_bytes']:>12,} bytes"
    yield "Compression", f"{content['compression_ratio']:>12,.1f} x, of the U-Net of equal levels and filters"
    yield "", ""
    yield "Normalisation", _describe_normalisation(found)
    yield "Threshold", f"{found.info.threshold:g}"
    yield "Splitting", f"{found.info.splitting:g}"
    card = found.info.card
    diameter = "not known" if card.object_diameter is None else f"{card.object_diameter:g} px"
    yield "Object diameter", diameter
    for name, text in (
        ("Name", card.name),
        ("Data", card.data),
        ("Date", card.date),
        ("Licence", card.licence),
    ):
        if text:
            yield name, text
    for name, figure in card.figures.items():
        yield name.replace("_", " ").capitalize(), f"{figure:.4g}"
    if card.versions:
        yield "Made with", ", ".join(f"{name} {version}" for name, version in card.versions.items())


def _describe_normalisation(found: ModelFile) -> str:
    settings = found.info.normalisation
    if settings.method == "range":
        return "range of the image's type"
    shading = f", shading over {settings.shading:g} px removed" if settings.shading else ""
    return f"percentiles {settings.low:g} to {settings.high:g}{shading}"

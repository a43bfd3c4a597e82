"""The size of a pixel: the one place that takes it from what files and layers say."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

#: Micrometres in the units of length that files and layers name.
MICROMETRES = {
    "µm": 1.0, "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "inch": 25_400.0, "m": 1e6,
}  # fmt: skip
PREFIXES = {"pico": "pm", "nano": "nm", "micro": "µm", "milli": "mm", "centi": "cm", "": "m"}
#: Other spellings of these units, in lower case.
SPELLINGS = {
    "um": "µm",
    "\u03bcm": "µm",  # the Greek letter mu instead of the micro sign
    "âµm": "µm",  # the two bytes of the micro sign in UTF-8, read as two characters
    "micron": "µm",
    "in": "inch",
    "inche": "inch",  # without the s of the plural, which `spell_unit` removes
    "a": "Å",
    "å": "Å",
    "angstrom": "Å",
    "ångström": "Å",
    **{f"{prefix}meter": unit for prefix, unit in PREFIXES.items()},
    **{f"{prefix}metre": unit for prefix, unit in PREFIXES.items()},
}
#: Seconds in the units of time that files and layers name, in lower case.
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3,
    "us": 1e-6, "µs": 1e-6, "\u03bcs": 1e-6, "microsecond": 1e-6, "microseconds": 1e-6,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86_400.0, "day": 86_400.0, "days": 86_400.0,
}  # fmt: skip
#: Smallest and largest side of a pixel, in micrometres; others are errors in the file.
SMALLEST, LARGEST = 1e-6, 1e6
#: Dots per inch that printers, scanners and drawing programs state; they say nothing about the specimen.
PRINT_RESOLUTIONS = np.array([
    72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 300, 360, 400, 600, 720, 800, 1000, 1200, 1440, 1600, 1800,
    2400, 2880, 3200, 3600, 4000, 4800, 5760, 6400, 7200, 9600,
])  # fmt: skip
#: Pixels of this many micrometres and more, in inches, are the dots of a printer or scanner.
PRINTED = 2.54


@dataclass(frozen=True)
class PixelSize:
    """Size of a pixel; `make_pixel_size` checks it.

    Attributes
    ----------
    y, x : float
        Height and width of a pixel in `unit`.
    unit : str
        A unit of length, as `spell_unit` spells it, such as "µm".
    """

    y: float
    x: float
    unit: str

    @property
    def in_micrometres(self) -> PixelSize:
        """The same size in micrometres."""
        factor = MICROMETRES[self.unit]
        return PixelSize(self.y * factor, self.x * factor, "µm")

    @property
    def imagej_unit(self) -> str:
        """The unit as ImageJ reads it: in ASCII, with escapes such as \\u00c5."""
        return "micron" if self.unit == "µm" else json.dumps(self.unit)[1:-1]

    @property
    def ome_unit(self) -> str:
        """The unit as OME spells it."""
        return "in" if self.unit == "inch" else self.unit


def spell_unit(name: str) -> str | None:
    """Return the one spelling of a unit of length that a file or layer names; None where it names no length."""
    name = unescape(name)
    name, _, per = name.strip("[](){}<>\"' ").replace(" per ", "/").partition("/")
    if per.strip().lower() not in ("", "px", "pixel"):
        return None
    name = name.strip().strip(".")
    if name in MICROMETRES:
        return name
    lower = name.lower()
    for spelling in (lower, lower.removesuffix("s")):
        if unit := SPELLINGS.get(spelling, spelling if spelling in MICROMETRES else None):
            return unit
    return None


def unescape(name: str) -> str:
    """Return a name without the escapes that ImageJ writes for characters that are not ASCII."""
    return name.encode().decode("unicode_escape", errors="replace") if "\\u" in name else name


def read_number(value: object) -> float | None:
    """Return a number in a file's metadata, also one with a decimal comma; None if it is none, or not finite."""
    text = str(value).strip()
    if "_" in text:
        return None  # Python would read it as a number
    try:
        number = float(text if "." in text else text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def make_pixel_size(y: object, x: object, unit_y: str, unit_x: str | None = None) -> PixelSize | None:
    """Return the size of a pixel that a file or layer states, in the unit of X.

    Parameters
    ----------
    y, x : number or str
    unit_y, unit_x : str
        In any spelling. `unit_x` of None: that of Y.

    Returns
    -------
    PixelSize or None
        None where the numbers are not finite and positive, or are no pixel's in a microscope: in units that are no
        lengths, or the dots per inch of a printer.
    """
    height, width = read_number(y), read_number(x)
    of_y, of_x = spell_unit(unit_y), spell_unit(unit_y if unit_x is None else unit_x)
    if height is None or width is None or of_y is None or of_x is None:
        return None
    height *= MICROMETRES[of_y] / MICROMETRES[of_x]
    size = PixelSize(height, width, of_x)
    sides = (size.in_micrometres.y, size.in_micrometres.x)
    if not all(SMALLEST <= side <= LARGEST and not _is_printed(side, of_x) for side in sides):
        return None
    return size


def _is_printed(side: float, unit: str) -> bool:
    """Return whether a side of a pixel (micrometres) is the distance of a printer's dots."""
    if unit == "inch":
        return side >= PRINTED
    resolution = MICROMETRES["inch"] / side
    return unit == "cm" and bool((np.abs(resolution / PRINT_RESOLUTIONS - 1) < 0.002).any())


def pixel_size_of_layer(
    scale: Sequence[float],
    units: Sequence[object] | None,
    *,
    rotate: Any = None,
    shear: Any = None,
    affine: Any = None,
) -> PixelSize | None:
    """Return the size of a layer's pixels, from all that places the layer in the world.

    Parameters
    ----------
    scale : sequence of float
        Of all N axes; Y and X are the last two.
    units : sequence of pint.Unit or str, optional
        Of all axes.
    rotate : array of shape (N, N), optional
    shear : array of shape (N, N), or of the N (N - 1) / 2 values above the diagonal, optional
    affine : array of shape (N + 1, N + 1), optional
        Applied after scale, shear and rotation.

    Returns
    -------
    PixelSize or None
        None where Y and X have no unit of length or different ones, or the pixels are not rectangles.
    """
    names = _name_units(units or ())
    if len(names) < 2 or names[-2] != names[-1]:
        return None
    steps = _placement(np.asarray(scale, float), rotate, shear, affine)[:, -2:]
    y, x = np.linalg.norm(steps, axis=0)
    for axis, name in enumerate(names):
        if name != names[-1] and (np.abs(steps[axis]) > 1e-6 * np.array([y, x])).any():
            return None  # the pixels' sides point to an axis of another unit
    if abs(steps[:, 0] @ steps[:, 1]) > 1e-3 * y * x:
        return None
    return make_pixel_size(y, x, names[-1])


def step_of_layer(
    scale: Sequence[float], units: Sequence[object] | None, labels: Sequence[str] | None, size: PixelSize | None
) -> tuple[Literal["T", "Z"], float | None]:
    """Return what the first axis of a stack is, and its step, in the units that `write_labels` takes.

    Parameters
    ----------
    scale, units, labels : sequence
        Of the layer's three axes.
    size : PixelSize, optional
        Of the layer's pixels.
    """
    if len(scale) != 3:
        return "T", None
    name = _name_units(units or ("", "", ""))[0]
    step = abs(float(scale[0]))
    if spell_unit(name) is not None or str((labels or ("",))[0]).lower() == "z":
        spacing = None if size is None else make_pixel_size(step, size.x, name, size.unit)
        return "Z", None if spacing is None else spacing.y
    seconds = step * SECONDS.get(name.lower(), math.nan)
    return "T", seconds if 0 < seconds < math.inf else None


def _name_units(units: Sequence[object]) -> list[str]:
    return [f"{unit:~P}" if hasattr(unit, "dimensionality") else str(unit) for unit in units]


def _placement(scale: np.ndarray, rotate: Any, shear: Any, affine: Any) -> np.ndarray:
    """Return the (N, N) matrix whose columns are the steps in the world from pixel to pixel along each axis."""
    count = scale.size
    matrix = np.diag(scale)
    if shear is not None:
        sheared = np.asarray(shear, float)
        if sheared.ndim == 1:
            values, sheared = sheared, np.eye(count)
            sheared[np.triu_indices(count, 1)] = values
        matrix = sheared @ matrix
    if rotate is not None:
        matrix = np.asarray(rotate, float) @ matrix
    if affine is not None:
        matrix = np.asarray(affine, float)[:count, :count] @ matrix
    return matrix

"""The size of a pixel, and the one spelling of its unit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

#: Micrometres in the units of length that files name.
MICROMETRES = {"µm": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "inch": 25_400.0}
#: Other units of length that a viewer understands.
OTHER_UNITS = ("m", "pm", "Å")
#: Other spellings of these units, in lower case.
SPELLINGS = {
    "um": "µm",
    "\u03bcm": "µm",  # the Greek letter mu instead of the micro sign
    "micron": "µm",
    "microns": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "in": "inch",
}
#: What programs write where they know no unit.
NO_UNIT = ("", "pixel", "pixels", "px")


@dataclass(frozen=True)
class PixelSize:
    """Size of a pixel in a physical unit.

    Attributes
    ----------
    y, x : float
        Height and width of a pixel in `unit`.
    unit : str
        As `spell_unit` spells it, such as "µm".
    """

    y: float
    x: float
    unit: str

    @property
    def in_viewers(self) -> bool:
        """Whether a viewer understands the unit."""
        return self.unit in MICROMETRES or self.unit in OTHER_UNITS

    @property
    def imagej_unit(self) -> str:
        """The unit as ImageJ reads it: in ASCII, with escapes such as \\u00c5."""
        return "micron" if self.unit == "µm" else json.dumps(self.unit)[1:-1]

    @property
    def ome_unit(self) -> str | None:
        """The unit as OME spells it; None where OME does not know it."""
        return {"inch": "in"}.get(self.unit, self.unit) if self.unit in MICROMETRES else None

    @property
    def column_unit(self) -> str:
        """The unit in the name of a table's column, in ASCII where it is a micrometre."""
        return self.unit.replace("µ", "u")


def spell_unit(name: str) -> str | None:
    """Return the one spelling of a unit that a file or layer names; None where it names none, or pixels."""
    if "\\u" in name:  # as ImageJ escapes characters that are not ASCII
        name = name.encode().decode("unicode_escape", errors="replace")
    name = name.strip()
    return None if name.lower() in NO_UNIT else SPELLINGS.get(name.lower(), name)


def pixel_size_of_layer(scale: Sequence[float], units: Sequence[object] | None) -> PixelSize | None:
    """Return the size of a layer's pixels.

    Parameters
    ----------
    scale : sequence of float
        Of all axes; Y and X are the last two.
    units : sequence of pint.Unit or str, optional
        Of all axes.

    Returns
    -------
    PixelSize or None
        None where Y and X have no unit, different ones, or pixels.
    """
    names = {f"{unit:~P}" if hasattr(unit, "dimensionality") else str(unit) for unit in (units or ())[-2:]}
    unit = spell_unit(names.pop()) if len(names) == 1 else None
    return None if unit is None else PixelSize(float(scale[-2]), float(scale[-1]), unit)

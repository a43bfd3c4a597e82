"""Make the sample that comes with the package: one simulated DIC field and its truth.

python scripts/make_sample.py
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from blunet.files import replacing
from blunet.images.image_writer import write_labels
from blunet.images.pixel_size import PixelSize
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings

DATA = Path(__file__).resolve().parent.parent / "src" / "blunet" / "data"
#: Micrometres a pixel, as if a 50 px cell were 20 µm across.
PIXEL_SIZE = 0.4


def main() -> None:
    """Write `sample.tif` and `sample_mask.tif` into the package."""
    field = simulate_dic(DicSettings(), seed=0)
    with replacing(DATA / "sample.tif") as path:
        tifffile.imwrite(
            path,
            field.image,
            imagej=True,
            resolution=(1 / PIXEL_SIZE, 1 / PIXEL_SIZE),
            metadata={"axes": "YX", "unit": "um"},
            compression="zlib",
        )
    write_labels(
        DATA / "sample_mask.tif",
        field.labels,
        pixel_size=PixelSize(PIXEL_SIZE, PIXEL_SIZE, "µm"),
        description={"truth of": "sample.tif", "seed": field.seed},
    )


if __name__ == "__main__":
    main()

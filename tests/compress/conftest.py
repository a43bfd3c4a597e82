"""Images with masks, and a compression that has run on them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from eagerly import run_eagerly
from tiny_compression import request

from blunet.compression.pipeline import compress
from blunet.dataset.data_origin import write_origins
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for i in range(4):
        field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=i)
        tifffile.imwrite(folder / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / f"f{i}_mask.tif", field.labels.astype(np.uint16))
    write_origins(folder, [{"origin": "Cellpose", "licence": "CC BY 4.0"}, {"origin": "Cellpose"}])
    return folder


@pytest.fixture(scope="session")
def finished(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    with run_eagerly():  # as the runs that are compared with it
        return run, list(compress(request(data, run, test=str(data))))


@pytest.fixture(scope="module", autouse=True)
def _eager(eager):
    """Compressions in the tests' own process have a few batches a step; those of the whole command trace graphs."""

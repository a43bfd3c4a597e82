"""How long a run will take and how much disk it needs, told before it starts. No Keras here.

The constants were measured with TensorFlow on the two cores of a server, in seconds of one of them; `core_speed` says
how this computer's cores compare.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from blunet.architecture import Network, NetworkSettings, census, layer_table
from blunet.compression.compression_settings import HINT_VALIDATION_SIZE, CompressionSettings
from blunet.compression.steps import STEPS


@dataclass(frozen=True)
class Cost:
    """Seconds of one core that training costs.

    Attributes
    ----------
    multiply_add, value : float
        For each multiply-add of the layers, and each value of their maps, of one image; forward and backward.
    batch : float
        For each batch, however small: hundreds of operations are started.
    start : float
        Until the first batch of a step is done: the network is built and its graph is traced, on one core.
    """

    multiply_add: float
    value: float
    batch: float
    start: float


COSTS: dict[Network, Cost] = {
    "unet": Cost(6.3e-11, 0.0, 0.022, 3.0),
    "lightweight": Cost(7.1e-11, 3.6e-9, 0.025, 3.0),
    "blunet": Cost(8.7e-11, 1.0e-8, 0.043, 35.0),
}
#: A pass forward alone, as a share of forward and backward.
FORWARD = 0.3
#: Seconds until Keras is imported, to simulate a field, and to find and score the objects of a megapixel.
IMPORT_SECONDS, SIMULATED_SECONDS, SCORED_SECONDS = 5.0, 0.24, 0.6
#: Seconds to augment a pixel of a crop, and to weigh it: in a thread of its own, on cores that training wants too.
AUGMENTED_SECONDS, WEIGHED_SECONDS = 9e-8, 1.7e-7
#: Side of a simulated field in pixels.
SIMULATED_SIDE = 512
#: Seconds of `_pass` on the core on which the constants were measured.
REFERENCE_PASS = 9.45e-6
#: What every further core adds to the first; more than so many hardly help maps as small as these.
FURTHER_CORE, USEFUL_CORES = 0.8, 8


@functools.cache
def core_speed() -> float:
    """Speed of one of this computer's cores, in those of the reference; measured within some hundredths of a second."""
    x = np.linspace(0.1, 1, 16384, dtype=np.float32)
    out = np.empty_like(x)
    return REFERENCE_PASS / min(_pass(x, out) for _ in range(40))


def _pass(x: np.ndarray, out: np.ndarray) -> float:
    """Seconds of some arithmetic within a core's own cache."""
    repeats = 50
    began = time.perf_counter()
    for _ in range(repeats):
        np.multiply(x, x, out=out)
        np.add(out, x, out=out)
        np.sqrt(out, out=out)
    return (time.perf_counter() - began) / repeats


def cores() -> float:
    """How many times as fast as one core training is on all of them."""
    number = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return 1 + FURTHER_CORE * (min(number, USEFUL_CORES) - 1)


def multiply_adds(settings: NetworkSettings, pixels: float, *, contracting: bool = False) -> tuple[float, float]:
    """Multiply-adds of an image of so many pixels, and values of its maps; of the contracting layers alone if asked."""
    macs = values = 0.0
    for layer in layer_table(settings):
        if contracting and layer.path != "contracting":
            continue
        positions = pixels / 4**layer.level
        taps = layer.kernel_size**2
        if layer.kind == "separable":
            macs += positions * layer.inputs * (taps + layer.filters)
        else:
            macs += positions * layer.inputs * taps * layer.filters
        values += positions * layer.filters
    return macs, values


def step_seconds(settings: CompressionSettings, name: str, validation: Sequence[tuple[int, int]] = ()) -> float:
    """Estimate the seconds of one step on this computer.

    `validation` has the sizes (Y, X) of the files; the simulated fields that are looked at beside them are added.
    """
    step, network = settings.step(name), STEPS[name].network
    hint, encoder = not STEPS[name].learns_masks, STEPS[name].hints == "encoder"
    image = _trained(settings, network, step.crop**2, encoder)
    if hint:
        image += FORWARD * _trained(settings, "unet", step.crop**2, encoder)
    image += step.crop**2 * (AUGMENTED_SECONDS + (0 if hint or not step.border_weights else WEIGHED_SECONDS))
    side = min(HINT_VALIDATION_SIZE, settings.validation_size) if hint else settings.validation_size
    simulated_side = min(SIMULATED_SIDE, HINT_VALIDATION_SIZE) if hint else SIMULATED_SIDE
    looked_at = sum(min(height, side) * min(width, side) for height, width in validation)
    looked_at += len(_held_out(settings, validation)) * simulated_side**2
    epoch = step.batches * step.batch * image + FORWARD * _trained(settings, network, looked_at, encoder)
    batches = step.epochs * step.batches * COSTS[network].batch / min(cores(), 2)
    return (COSTS[network].start + step.epochs * epoch / cores() + batches) / core_speed()


def duration(
    settings: CompressionSettings,
    steps: Sequence[str],
    validation: Sequence[tuple[int, int]] = (),
    test: Sequence[tuple[int, int]] = (),
) -> float:
    """Estimate the seconds of a run on this computer.

    Parameters
    ----------
    settings : CompressionSettings
    steps : sequence of str
        That will run.
    validation, test : sequence of (Y, X)
        Sizes of the files in pixels; without them the time for scoring is left out.

    Returns
    -------
    float
        On two idle cores within a third of what it takes; on many cores or a graphics card it may take much less.
    """
    held_out = _held_out(settings, validation)
    training = sum(step_seconds(settings, name, validation) for name in steps)
    fields = settings.simulated + len(held_out) + (settings.pretraining_fields if "pretrain" in steps else 0)
    pixels = sum(height * width for height, width in (*validation, *held_out, *test))
    scoring = 0.0
    stages: tuple[Network, ...] = ("unet", "unet", "lightweight", "blunet")
    for network in stages if "pretrain" in steps else stages[1:]:
        scoring += FORWARD * _trained(settings, network, pixels) / cores() + SCORED_SECONDS * pixels / 2**20
    return training + (IMPORT_SECONDS + SIMULATED_SECONDS * fields + scoring) / core_speed()


def _held_out(settings: CompressionSettings, validation: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sizes of the simulated fields that help the validation files to choose, as many as these."""
    return [(SIMULATED_SIDE, SIMULATED_SIDE)] * (len(validation) if settings.simulated else 0)


def _trained(settings: CompressionSettings, network: Network, pixels: float, contracting: bool = False) -> float:
    """Seconds of one core to train on so many pixels."""
    macs, values = multiply_adds(settings.network(network), pixels, contracting=contracting)
    return macs * COSTS[network].multiply_add + values * COSTS[network].value


def disk_bytes(settings: CompressionSettings, steps: Sequence[str]) -> int:
    """Bytes that a run needs at most: every step's result, and of one step the state and the best weights."""
    floats = {kind: census(settings.network(kind)) for kind in ("unet", "lightweight")}
    sizes = {
        name: 4 * floats["unet" if STEPS[name].network == "unet" else "lightweight"].float_parameters for name in steps
    }
    results = 3 * sum(sizes.values())  # a `.keras` file keeps the optimiser's two moments as well
    state = 2 * 4 * max(sizes.values(), default=0)  # a state while it replaces its predecessor
    kept = 4 * sizes.get("binarise", 0)
    return int(results + state + kept + 2**21)

"""Estimates of how long a run takes and how much disk space it needs. No Keras here.

The constants were measured with TensorFlow on a server with two cores, in seconds of one core. `measure_core_speed`
compares this computer's cores with those.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from blunet.architecture import Network, NetworkSettings, count_parameters, list_layers
from blunet.compression.compression_settings import HINT_VALIDATION_SIZE, CompressionSettings
from blunet.compression.steps import STEPS


@dataclass(frozen=True)
class Cost:
    """Seconds of one core that training takes.

    Attributes
    ----------
    multiply_add, value : float
        For each multiply-add of the layers, and for each value of their maps, of one image; forward and backward.
    batch : float
        For each batch of any size, in which hundreds of operations are started.
    start : float
        Until the first batch of a step is done: the network is built and its graph is traced, on one core.
    normalised : float
        Added to `value` in the normalised form.
    """

    multiply_add: float
    value: float
    batch: float
    start: float
    normalised: float


COSTS: dict[Network, Cost] = {
    "unet": Cost(6.3e-11, 0.0, 0.022, 3.0, 0.0),
    "lightweight": Cost(7.1e-11, 3.6e-9, 0.025, 3.0, 6e-9),
    "blunet": Cost(8.7e-11, 1.0e-8, 0.043, 35.0, 1e-9),
}
#: Time of a forward pass as a share of forward and backward.
FORWARD_SHARE = 0.3
#: Seconds to import Keras, to simulate a field, and to find and score the objects of a megapixel.
IMPORT_SECONDS, SIMULATION_SECONDS, SCORING_SECONDS = 5.0, 0.24, 0.6
#: Seconds to augment a pixel of a crop, and to weight it: in another thread, on cores that training also uses.
AUGMENTATION_SECONDS, WEIGHTING_SECONDS = 9e-8, 1.7e-7
#: Side of a simulated field in pixels.
SIMULATED_SIDE = 512
#: Seconds of `_time_pass` on the core on which the constants were measured.
REFERENCE_PASS = 9.45e-6
#: What every further core adds to the first. More cores than this hardly help for maps this small.
FURTHER_CORE, USEFUL_CORES = 0.8, 8
#: Bytes of a run besides its networks: settings, events, report, previews.
OTHER_BYTES = 2**21


@functools.cache
def measure_core_speed() -> float:
    """Return the speed of one of this computer's cores relative to the reference, in a few hundredths of a second."""
    x = np.linspace(0.1, 1, 16384, dtype=np.float32)
    out = np.empty_like(x)
    return REFERENCE_PASS / min(_time_pass(x, out) for _ in range(40))


def _time_pass(x: np.ndarray, out: np.ndarray) -> float:
    """Return the seconds of some arithmetic on values in a core's own cache."""
    repeats = 50
    began = time.perf_counter()
    for _ in range(repeats):
        np.multiply(x, x, out=out)
        np.add(out, x, out=out)
        np.sqrt(out, out=out)
    return (time.perf_counter() - began) / repeats


def estimate_speedup() -> float:
    """Return how much faster training is on all cores than on one."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return 1 + FURTHER_CORE * (min(cores, USEFUL_CORES) - 1)


def count_operations(settings: NetworkSettings, pixels: float, *, contracting: bool = False) -> tuple[float, float]:
    """Count what a network computes for an image.

    Parameters
    ----------
    settings : NetworkSettings
    pixels : float
        Pixels of the image.
    contracting : bool
        Whether only the layers of the contracting path are counted.

    Returns
    -------
    multiply_adds, values : float
        Multiply-adds of the layers, and values of their maps.
    """
    multiply_adds = values = 0.0
    for layer in list_layers(settings):
        if contracting and layer.path != "contracting":
            continue
        positions = pixels / 4**layer.level
        taps = layer.kernel_size**2
        if layer.kind == "separable":
            multiply_adds += positions * layer.inputs * (taps + layer.filters)
        else:
            multiply_adds += positions * layer.inputs * taps * layer.filters
        values += positions * layer.filters
    return multiply_adds, values


def estimate_step_seconds(
    settings: CompressionSettings, name: str, validation: Sequence[tuple[int, int]] = ()
) -> float:
    """Estimate the seconds of one step on this computer.

    Parameters
    ----------
    settings : CompressionSettings
    name : str
        Name of the step.
    validation : sequence of (Y, X)
        Sizes of the validation files in pixels. The held-out simulated fields are added to them.

    Returns
    -------
    float
    """
    chosen, step = settings.step(name), STEPS[name]
    encoder = step.hints == "encoder"
    pixels = chosen.crop**2
    crop = _training_seconds(settings, step.network, pixels, encoder) + pixels * AUGMENTATION_SECONDS
    side, simulated_side = settings.validation_size, SIMULATED_SIDE
    if step.learns_masks:
        crop += pixels * WEIGHTING_SECONDS * chosen.border_weights
    else:
        crop += FORWARD_SHARE * _training_seconds(settings, "unet", pixels, encoder)
        side, simulated_side = min(HINT_VALIDATION_SIZE, side), min(HINT_VALIDATION_SIZE, simulated_side)
    validated = sum(min(height, side) * min(width, side) for height, width in validation)
    validated += len(_held_out_sizes(settings, validation)) * simulated_side**2
    validating = FORWARD_SHARE * _training_seconds(settings, step.network, validated, encoder)
    epoch = chosen.batches * chosen.batch * crop + validating
    cost, speedup = COSTS[step.network], estimate_speedup()
    batches = chosen.epochs * chosen.batches * cost.batch / min(speedup, 2)
    return (cost.start + chosen.epochs * epoch / speedup + batches) / measure_core_speed()


def estimate_seconds(
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
        The steps that will run.
    validation, test : sequence of (Y, X)
        Sizes of the files in pixels. Without them the time for scoring is left out.

    Returns
    -------
    float
        Within a third of the true time on two idle cores. Many cores or a graphics card can be much faster.
    """
    held_out = _held_out_sizes(settings, validation)
    training = sum(estimate_step_seconds(settings, name, validation) for name in steps)
    fields = settings.simulated + len(held_out) + (settings.pretraining_fields if "pretrain" in steps else 0)
    pixels = sum(height * width for height, width in (*validation, *held_out, *test))
    scoring = 0.0
    stages: tuple[Network, ...] = ("unet", "unet", "lightweight", "blunet")
    for network in stages if "pretrain" in steps else stages[1:]:
        predicting = FORWARD_SHARE * _training_seconds(settings, network, pixels) / estimate_speedup()
        scoring += predicting + SCORING_SECONDS * pixels / 2**20
    return training + (IMPORT_SECONDS + SIMULATION_SECONDS * fields + scoring) / measure_core_speed()


def estimate_disk_bytes(settings: CompressionSettings, steps: Sequence[str]) -> int:
    """Estimate the bytes on disk that a run needs at most.

    The results of all steps are kept, and of one step at a time the state and the best weights.
    """
    floats = {kind: count_parameters(settings.network(kind)).float_parameters for kind in ("unet", "lightweight")}
    sizes = {name: 4 * floats["unet" if STEPS[name].network == "unet" else "lightweight"] for name in steps}
    results = 3 * sum(sizes.values())  # a `.keras` file also has the optimiser's two moments
    states = 2 * 4 * max(sizes.values(), default=0)  # a state, and the one that replaces it
    last = 4 * sizes.get("binarise", 0)
    return int(results + states + last + OTHER_BYTES)


def _held_out_sizes(settings: CompressionSettings, validation: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the sizes of the held-out simulated fields: as many as there are validation files."""
    return [(SIMULATED_SIDE, SIMULATED_SIDE)] * (len(validation) if settings.simulated else 0)


def _training_seconds(
    settings: CompressionSettings, network: Network, pixels: float, contracting: bool = False
) -> float:
    """Return the seconds of one core to train on this number of pixels."""
    multiply_adds, values = count_operations(settings.network(network), pixels, contracting=contracting)
    cost = COSTS[network]
    value = cost.value + (cost.normalised if settings.form == "normalised" else 0.0)
    return multiply_adds * cost.multiply_add + values * value

"""How long a run will take and how much disk it needs, told before it starts. No Keras here."""

from __future__ import annotations

from collections.abc import Sequence

from blunet.architecture import Network, NetworkSettings, census, layer_table
from blunet.compression.settings import CompressionSettings

#: Multiply-adds a second that training reaches on two cores, forward and backward counted as three times forward.
TRAINED_MACS = 2.5e10
#: Seconds a pixel and channel that elementwise work costs a step: depthwise parts and activations.
ELEMENT_SECONDS = {"unet": 4e-9, "lightweight": 8e-9, "blunet": 3.2e-8}
#: Seconds for building and validating each step.
STEP_SECONDS = 20.0

NETWORK_OF: dict[str, Network] = {
    "pretrain": "unet",
    "transfer": "unet",
    "hint_encoder": "lightweight",
    "hint_decoder": "lightweight",
    "retrain": "lightweight",
    "binarise": "blunet",
}


def multiply_adds(settings: NetworkSettings, side: int) -> tuple[float, float]:
    """Multiply-adds of one image of `side` x `side`, and values of all its feature maps."""
    macs = values = 0.0
    for layer in layer_table(settings):
        pixels = (side / 2**layer.level) ** 2
        taps = layer.kernel_size**2
        if layer.kind == "separable":
            macs += pixels * layer.inputs * (taps + layer.filters)
        else:
            macs += pixels * layer.inputs * taps * layer.filters
        values += pixels * layer.filters
    return macs, values


def step_seconds(settings: CompressionSettings, name: str) -> float:
    """Estimate the seconds of one step on two CPU cores."""
    step, kind = settings.step(name), NETWORK_OF[name]
    macs, values = multiply_adds(settings.network(kind), step.crop)
    seconds = 3 * macs / TRAINED_MACS + values * ELEMENT_SECONDS[kind]
    if name.startswith("hint"):
        teacher, more = multiply_adds(settings.network("unet"), step.crop)
        seconds += teacher / TRAINED_MACS + more * ELEMENT_SECONDS["unet"]
    return STEP_SECONDS + seconds * step.batch * step.batches * step.epochs


def duration(settings: CompressionSettings, steps: Sequence[str]) -> float:
    """Estimate the seconds of a run on two CPU cores; right within a factor of two or so."""
    return sum(step_seconds(settings, name) for name in steps)


def disk_bytes(settings: CompressionSettings, steps: Sequence[str]) -> int:
    """Bytes that a run needs at most: every step's result, and of one step the state and the best weights."""
    floats = {kind: census(settings.network(kind)) for kind in ("unet", "lightweight")}
    sizes = {
        name: 4 * floats["unet" if NETWORK_OF[name] == "unet" else "lightweight"].float_parameters for name in steps
    }
    results = 3 * sum(sizes.values())  # a `.keras` file keeps the optimiser's two moments as well
    state = 2 * 4 * max(sizes.values(), default=0)  # a state while it replaces its predecessor
    kept = 4 * sizes.get("binarise", 0)
    return int(results + state + kept + 2**21)

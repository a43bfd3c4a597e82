"""The ``.blunet`` file and the engine that runs it."""

from blunet.packed.binary_weights import BinaryWeights, binarise_weights
from blunet.packed.blunet_file import read_file, to_bytes, write_file
from blunet.packed.engine import Engine
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.packed_model import PackedModel, load_model
from blunet.packed.reference import ReferenceEngine

__all__ = [
    "BinaryWeights",
    "Engine",
    "ModelCard",
    "ModelInfo",
    "PackedModel",
    "ReferenceEngine",
    "binarise_weights",
    "load_model",
    "read_file",
    "to_bytes",
    "write_file",
]

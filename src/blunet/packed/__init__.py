"""The ``.blunet`` file and the engine that runs it."""

from blunet.packed.card import ModelCard, ModelInfo
from blunet.packed.engine import Engine
from blunet.packed.file import read_file, to_bytes, write_file
from blunet.packed.model import PackedModel, load_model
from blunet.packed.reference import ReferenceEngine
from blunet.packed.weights import BinaryWeights, binarise_weights

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

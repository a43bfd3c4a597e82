"""The ``.blunet`` file: one safetensors file with bit planes, scales, biases and gammas, and one JSON text.

Tensors are named ``layer/weight`` as in the table of layers. A binarised weight is uint64 of shape
(M, ceil(size / 64)): plane m holds the signs of residual level m, packed by `bit_planes.pack_bits` in the C order of
the kernel's shape. All others are float32 of the table's shape. The metadata key ``blunet`` holds everything else as
JSON with sorted keys, so that equal models give equal bytes.

Version 1 holds networks of the published form. Version 2 also holds networks of the normalised form: activations are
unsigned codes, with values from 0 to twice the sum of their gammas; the sum of filter f is multiplied by ``scale[f]``
before ``bias[f]`` is added; in a separable layer the depthwise result of channel c is multiplied by
``depthwise_scale[c]`` and, where it is coded, ``depthwise_shift[c]`` is added; and the output layer has a kernel of
float32 with a filter for each of the maps that the network's settings name. The entry `splitting` is new, too. A model
that version 1 can hold is written as such, so that older programs can read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from blunet.architecture import NetworkSettings
from blunet.errors import InputError
from blunet.files import replacing
from blunet.packed.binary_weights import BinaryWeights, Key, list_weights
from blunet.packed.model_card import ModelInfo

#: The newest version that is read and written.
FORMAT_VERSION = 2
METADATA_KEY = "blunet"
#: SHA-256 of the JSON text and of all weights in the order of their names. Files of earlier versions lack it.
CHECKSUM_KEY = "blunet_sha256"
#: Entries of a ModelInfo that version 1 does not have.
NEW_ENTRIES = ("splitting",)
#: Largest file that is read, far above that of any network that fits a laptop.
MAX_FILE_BYTES = 2**28
#: Largest JSON text, far above that of a card.
MAX_METADATA_BYTES = 2**15

_TYPE_NAMES = {np.dtype(np.uint64): "U64", np.dtype(np.float32): "F32"}


def to_bytes(weights: BinaryWeights, info: ModelInfo) -> bytes:
    """Return the content of the file of a model; equal models give equal bytes.

    Raises
    ------
    InputError
        If the description or the model is too large for the format.
    """
    described = info.to_dict()
    version = _choose_version(weights.settings, info)
    if version == 1:
        for name in NEW_ENTRIES:
            del described[name]
    header = {"format_version": version, "network": weights.settings.to_dict(), **described}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    if len(text) > MAX_METADATA_BYTES:
        raise InputError(f"The model's card takes {len(text):,} bytes, more than {MAX_METADATA_BYTES:,}; shorten it.")
    arrays = {**weights.planes, **weights.floats}
    tensors = {"/".join(key): np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}
    checksum = _compute_checksum(text, (tensors[name].tobytes() for name in sorted(tensors)))
    content = _add_metadata(save(tensors, metadata={METADATA_KEY: text}), CHECKSUM_KEY, checksum)
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"The model takes {len(content):,} bytes, more than {MAX_FILE_BYTES:,}; use fewer filters.")
    return content


def write_file(path: str | Path, weights: BinaryWeights, info: ModelInfo) -> None:
    """Write a model to `path`, replacing it in one step.

    Raises
    ------
    InputError
        If the model is too large for the format, or the file cannot be written.
    """
    content = to_bytes(weights, info)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as e:
        raise InputError(f"The model cannot be written to '{path}': {e.strerror}; choose another place.") from e


def read_file(path: str | Path) -> tuple[BinaryWeights, ModelInfo]:
    """Read a model. The file is read whole, and every number in it is checked before it is used.

    Raises
    ------
    InputError
        If there is no such file, or it is not a sound ``.blunet`` file of this version.
    """
    content = _read_content(Path(path))
    try:
        tensors: dict[str, dict[str, Any]] = dict(deserialize(content))  # type: ignore[no-untyped-call]
    except SafetensorError as e:
        raise InputError(f"'{path}' is not a BLU-Net model, or is damaged ({e}); give a whole .blunet file.") from e
    settings, description = _read_header(content, path)
    _check_checksum(content, tensors, path)
    try:
        _check_tensors(tensors, settings)
        info = ModelInfo.from_dict(description)
        planes: dict[Key, NDArray[np.uint64]] = {}
        floats: dict[Key, NDArray[np.float32]] = {}
        for stored in list_weights(settings):
            data = tensors["/".join(stored.key)]["data"]
            if stored.weight.residual_levels:
                planes[stored.key] = np.frombuffer(data, "<u8").reshape(stored.shape).astype(np.uint64)
            else:
                floats[stored.key] = np.frombuffer(data, "<f4").reshape(stored.shape).astype(np.float32)
        return BinaryWeights(settings, planes, floats), info
    except InputError as e:
        raise _damage_error(path, e) from e


def _choose_version(settings: NetworkSettings, info: ModelInfo) -> int:
    """Return the oldest version that holds all of a model."""
    plain = ModelInfo()
    new = settings.form != "published" or any(getattr(info, name) != getattr(plain, name) for name in NEW_ENTRIES)
    return 2 if new else 1


def _read_content(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"There is no model file '{path}'; give an existing .blunet file.")
    if not path.is_file():
        raise InputError(f"'{path}' is not a file; give a .blunet file.")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(f"'{path}' is not a BLU-Net model: it has {size:,} bytes; give a .blunet file.")
    try:
        return path.read_bytes()
    except OSError as e:
        raise InputError(f"The model file '{path}' cannot be read: {e.strerror}.") from e


def _compute_checksum(text: str, weights: Iterable[bytes]) -> str:
    """Return the SHA-256 of a model in hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for data in weights:
        digest.update(data)
    return digest.hexdigest()


def _add_metadata(content: bytes, key: str, value: str) -> bytes:
    """Put an entry before the others in the metadata of a file, as safetensors writes several in any order."""
    begin = b'{"__metadata__":{'
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip(b" ").replace(begin, begin + f'"{key}":"{value}",'.encode(), 1)
    header += b" " * (-len(header) % 8)  # the weights begin at a multiple of 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _check_checksum(content: bytes, tensors: Mapping[str, Mapping[str, Any]], path: str | Path) -> None:
    """Raise InputError if the file states another checksum than that of what it holds."""
    metadata = _read_metadata(content)
    found = _compute_checksum(metadata[METADATA_KEY], (bytes(tensors[name]["data"]) for name in sorted(tensors)))
    # A file without a checksum is an older one; an entry of another name is one whose name was changed.
    if metadata.get(CHECKSUM_KEY, found) != found or metadata.keys() - {METADATA_KEY, CHECKSUM_KEY}:
        raise InputError(
            f"'{path}' is damaged: bytes in it were changed (its checksum differs); make or fetch it again."
        )


def _read_metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a file that safetensors has accepted."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length]).get("__metadata__") or {})


def _read_header(content: bytes, path: str | Path) -> tuple[NetworkSettings, dict[str, Any]]:
    """Return the network's settings and the entries of its ModelInfo from what safetensors has accepted."""
    text = _read_metadata(content).get(METADATA_KEY)
    if text is None:
        raise InputError(
            f"'{path}' is a safetensors file without the entry '{METADATA_KEY}', not a BLU-Net model; "
            "give a .blunet file."
        )
    try:
        header = json.loads(text)
        version = header.pop("format_version")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as e:
        raise InputError(
            f"'{path}' is damaged: its entry '{METADATA_KEY}' cannot be understood; make or fetch it again."
        ) from e
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"'{path}' is damaged: its format version is {version!r:.200}; make or fetch it again.")
    if version > FORMAT_VERSION:
        raise InputError(
            f"'{path}' was made by a newer version of napari-blunet (file format {version}, this one reads up to "
            f"{FORMAT_VERSION}); update napari-blunet."
        )
    try:
        settings = NetworkSettings.from_dict(header.pop("network", None))
        if version == 1:
            _check_first_version(settings, header)
        return settings, header
    except InputError as e:
        raise _damage_error(path, e) from e


def _check_first_version(settings: NetworkSettings, description: Mapping[str, Any]) -> None:
    if settings.form != "published":
        raise InputError(f"Its format version is 1, which does not hold networks of the {settings.form} form.")
    for name in NEW_ENTRIES:
        if name in description:
            raise InputError(f"Its format version is 1, which does not have the entry '{name}'.")


def _check_tensors(tensors: Mapping[str, Mapping[str, Any]], settings: NetworkSettings) -> None:
    """Check names, types and shapes of the tensors, as the file states them, against the table."""
    table = {"/".join(stored.key): stored for stored in list_weights(settings)}
    for name in sorted(set(tensors) ^ set(table)):
        where = "is missing" if name in table else "does not belong to the network"
        raise InputError(f"The weight '{name}' {where}.")
    for name, stored in table.items():
        found = tensors[name]["dtype"], tuple(tensors[name]["shape"])
        wanted = _TYPE_NAMES[stored.dtype], stored.shape
        if found != wanted:
            raise InputError(
                f"The weight '{name}' is {found[0]} of shape {found[1]}, "
                f"and has to be {wanted[0]} of shape {wanted[1]}."
            )


def _damage_error(path: str | Path, error: InputError) -> InputError:
    reason = str(error)
    reason = reason[:1].lower() + reason[1:]
    return InputError(f"'{path}' is not a sound BLU-Net model, make or fetch it again: {reason}")

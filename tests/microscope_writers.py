"""Small files as microscopes write them, for tests."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_czi(path: Path, image: np.ndarray, names: tuple[str, ...]) -> None:
    """Write an image (S, T, C, Z, Y, X) of uint8 or uint16 with Zeiss' own library, half a micrometre a pixel."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for scene, t, c, z in np.ndindex(image.shape[:4]):
            file.write(
                image[scene, t, c, z][..., None], plane={"T": t, "C": c, "Z": z}, scene=scene,
                location=(scene * 2 * image.shape[-1], 0),
            )  # fmt: skip
        file.write_metadata(
            document_name=path.stem,
            channel_names=dict(enumerate(names)),
            scale_x=0.5e-6, scale_y=0.5e-6, scale_z=2e-6,
        )  # fmt: skip


def write_lif(path: Path, images: list[np.ndarray], contrasts: tuple[str, ...]) -> None:
    """Write images (T, C, Y, X) of uint16 as Leica's file of XML and blocks, half a micrometre and 30 s a step."""
    elements, blocks = [], b""
    for number, image in enumerate(images):
        frames, channels, height, width = image.shape
        plane = height * width * 2
        described = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="1" Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="{c * plane}" BitInc="0"/>'
            for c in range(channels)
        )
        axes = "".join(
            f'<DimensionDescription DimID="{dim}" NumberOfElements="{count}" Origin="0" Length="{length}" '
            f'Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
            for dim, count, length, unit, step in (
                (1, width, (width - 1) * 0.5e-6, "m", 2), (2, height, (height - 1) * 0.5e-6, "m", 2 * width),
                (4, frames, (frames - 1) * 30, "s", plane * channels),
            )
        )  # fmt: skip
        methods = "".join(f'<WideFieldChannelInfo ContrastingMethodName="{name}"/>' for name in contrasts)
        elements.append(
            f'<Element Name="Series{number}" UniqueID="{number}"><Data><Image><ImageDescription><Channels>{described}'
            f"</Channels><Dimensions>{axes}</Dimensions></ImageDescription><Attachment>{methods}</Attachment></Image>"
            f'</Data><Memory Size="{image.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        name = f"MemBlock_{number}".encode("utf-16-le")
        head = struct.pack("<BQBI", 0x2A, image.nbytes, 0x2A, len(name) // 2) + name
        blocks += struct.pack("<II", 0x70, len(head)) + head + image.astype("<u2").tobytes()
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="test" UniqueID="x"><Data/><Children>'
        f"{''.join(elements)}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    head = struct.pack("<BI", 0x2A, len(text) // 2) + text
    path.write_bytes(struct.pack("<II", 0x70, len(head)) + head + blocks)


def write_nd2(path: Path, image: np.ndarray, names: tuple[str, ...], masks: tuple[int, ...]) -> None:
    """Write an image (T, Z, C, Y, X) of uint16 as Nikon's file of chunks, half a micrometre a pixel, 30 s a frame.

    `masks` are the flags of each channel's microscope: 0x1 fluorescence, 0x2 transmitted light, 0x20 DIC.
    """
    frames, slices, channels, height, width = image.shape
    attributes = {
        "uiWidth": width, "uiHeight": height, "uiWidthBytes": 2 * width * channels, "uiComp": channels,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": frames * slices, "eCompression": 2,
        "uiTileWidth": width, "uiTileHeight": height,
    }  # fmt: skip
    planes = {
        f"a{c}": {
            "sDescription": names[c],
            "uiModalityMask": masks[c],
            "uiCompCount": 1,
            "pFluorescentProbe": {"m_uiColor": 0},
        }
        for c in range(channels)
    }
    about = {
        "bCalibrated": True, "dCalibration": 0.5, "dObjectiveMag": 20.0,
        "sPicturePlanes": {"uiCount": channels, "sPlaneNew": planes, "sSampleSetting": {"a0": {"dBinning": 1.0}}},
    }  # fmt: skip
    in_time = {"uiCount": frames, "dStart": 0.0, "dPeriod": 30_000.0, "dDuration": 30_000.0 * frames}
    in_depth = {"uiCount": slices, "dZLow": 0.0, "dZHigh": 2.0 * (slices - 1), "dZStep": 2.0, "bAbsolute": False,
                "iType": 0, "bZInverted": False, "dZHome": 0.0, "dReferencePosition": 0.0, "dTop": 0.0, "dBottom": 0.0,
                "dHome": 0.0}  # fmt: skip
    loops = {"eType": 1, "uLoopPars": in_time, "ppNextLevelEx": {"i0": {"eType": 4, "uLoopPars": in_depth}}}
    chunks = [
        (b"ImageAttributesLV!", _variant({"SLxImageAttributes": attributes})),
        (b"ImageMetadataLV!", _variant({"SLxExperiment": loops})),
        (b"ImageMetadataSeqLV|0!", _variant({"SLxPictureMetadata": about})),
    ]
    for number, (t, z) in enumerate(np.ndindex(frames, slices)):
        pixels = np.moveaxis(image[t, z], 0, -1).astype("<u2").tobytes()
        chunks.append((b"ImageDataSeq|%d!" % number, bytes(8) + pixels))
    content = _chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32)
    places = b""
    for name, data in chunks:
        places += name + struct.pack("<QQ", len(content), len(data))
        content += _chunk(name, data, 4072)
    end = len(content)
    places += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<QQ", end, 0)
    content += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", places, 32)
    path.write_bytes(content + b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", end))


def _chunk(name: bytes, data: bytes, length: int) -> bytes:
    return struct.pack("<IIQ", 0x0ABECEDA, length, len(data)) + name.ljust(length, b"\0") + data


def _variant(content: dict) -> bytes:
    """Return values as the XML that an ND2 keeps them in."""
    kinds = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}

    def tags(values: dict) -> str:
        return "".join(
            f"<{name}>{tags(value)}</{name}>"
            if isinstance(value, dict)
            else f'<{name} runtype="{kinds[type(value)]}" value="{str(value).lower() if value is True else value}"/>'
            for name, value in values.items()
        )

    return f"<variant version='1.0'>{tags(content)}</variant>".encode()

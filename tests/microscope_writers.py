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

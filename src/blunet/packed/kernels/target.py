"""Block sizes for the processor that kernels are compiled for. A wrong guess costs speed, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numba import config


@dataclass(frozen=True)
class Target:
    """Block sizes of the kernels for one kind of processor.

    Attributes
    ----------
    floats : int
        float32 lanes of a vector register.
    panel_pixels : mapping of int to int
        Filters of a block of the float product, and its pixels: its sums, ``pixels * filters / floats`` registers,
        stay in the registers.
    """

    floats: int
    panel_pixels: Mapping[int, int]

    @property
    def words(self) -> int:
        """64-bit lanes of a vector register."""
        return self.floats // 2


#: 32 registers of 512 bits; 16 of 256; 16 of 128 (x86) or 32 (ARM).
AVX512 = Target(floats=16, panel_pixels={64: 6, 32: 12, 16: 14})
AVX2 = Target(floats=8, panel_pixels={16: 6})
PLAIN = Target(floats=4, panel_pixels={16: 2})
ARM = Target(floats=4, panel_pixels={16: 6})

#: Words in the names that LLVM gives to processors with AVX-512 and with AVX2.
AVX512_NAMES = (
    "avx512", "x86-64-v4", "skx", "skylake-avx512", "cascadelake", "cooperlake", "icelake", "sapphirerapids", "znver4",
    "znver5",
)  # fmt: skip
AVX2_NAMES = ("haswell", "broadwell", "skylake", "x86-64-v3", "znver", "alderlake", "raptorlake", "+avx2")


def detect_target() -> Target:
    """Return the block sizes for the processor that numba compiles for: this one, or `NUMBA_CPU_NAME`."""
    named, features_named = (getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
    if named and named != "host":
        return _target_named(f"{named} {features_named or ''}".lower())
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if "aarch64" in binding.get_default_triple() or "arm64" in binding.get_default_triple():
        return ARM
    return AVX512 if features.get("avx512f") else AVX2 if features.get("avx2") else PLAIN


def _target_named(words: str) -> Target:
    if any(name in words for name in AVX512_NAMES):
        return AVX512
    return AVX2 if any(name in words for name in AVX2_NAMES) else PLAIN


TARGET = detect_target()

"""What the processor can do, as far as the kernels' block sizes depend on it; a wrong guess costs speed alone."""

from __future__ import annotations

from dataclasses import dataclass

from numba import config


@dataclass(frozen=True)
class Target:
    """Block sizes of the kernels for one kind of processor.

    Attributes
    ----------
    floats : int
        float32 lanes of a vector register.
    panel : int
        Most filters that one block of the float product makes at a time.
    pixels : int
        Pixels of such a block: its sums, ``pixels * panel / floats`` registers, never leave the registers.
    """

    floats: int
    panel: int
    pixels: int

    @property
    def words(self) -> int:
        """64-bit lanes of a vector register."""
        return self.floats // 2


#: 32 registers of 512 bits; 16 of 256; 16 of 128 (x86) or 32 (ARM).
AVX512 = Target(floats=16, panel=64, pixels=6)
AVX2 = Target(floats=8, panel=16, pixels=6)
PLAIN = Target(floats=4, panel=16, pixels=2)
ARM = Target(floats=4, panel=16, pixels=6)

NEWER = ("avx512", "x86-64-v4", "skx", "cascadelake", "cooperlake", "icelake", "sapphirerapids", "znver4", "znver5")
MIDDLE = ("haswell", "broadwell", "skylake", "x86-64-v3", "znver", "alderlake", "raptorlake")


def detect() -> Target:
    """Return the block sizes for the processor that numba makes code for: this one, or `NUMBA_CPU_NAME`."""
    named, features_named = (getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
    if named and named != "host":
        return _of_words(named.lower() + " " + (features_named or ""))
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if "aarch64" in binding.get_default_triple() or "arm64" in binding.get_default_triple():
        return ARM
    return AVX512 if features.get("avx512f") else AVX2 if features.get("avx2") else PLAIN


def _of_words(words: str) -> Target:
    if "skylake-avx512" in words or any(name in words for name in NEWER):
        return AVX512
    return AVX2 if any(name in words for name in MIDDLE) or "+avx2" in words else PLAIN


TARGET = detect()

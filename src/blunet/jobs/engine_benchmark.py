"""Timing engines side by side, each in its own process.

The engines take turns, so that a change of the machine's load concerns all of them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

from blunet.architecture import NETWORKS, NetworkSettings, ResidualLevels
from blunet.errors import InputError
from blunet.jobs.benchmark_settings import BenchmarkSettings
from blunet.jobs.events import CancelToken
from blunet.packed.threads import choose_thread_count

COMMAND = (sys.executable, "-P", "-m", "blunet.jobs.engine_benchmark_child")
#: Environment variables that set the number of threads of libraries.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLUNET_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
#: Loops of the processor's fastest instructions, timed like engines.
CEILINGS = ("float32_loop", "popcount_loop")


@dataclass(frozen=True)
class Preparing:
    """An engine is started and runs for the first time."""

    engine: str


@dataclass(frozen=True)
class Timed:
    """An engine has run in a round, counted from 1."""

    engine: str
    round: int
    rounds: int
    seconds: float


@dataclass
class Timing:
    """The measurements of one engine. The memory is that of its whole process."""

    seconds: list[float] = field(default_factory=list)
    peak_rss_mib: float = 0.0
    work: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Return the figures; for a loop also its billions of multiply-adds per second."""
        plain = {"median_s": median(self.seconds), "min_s": min(self.seconds), "peak_rss_mib": self.peak_rss_mib}
        return plain | ({"gmac_per_s": self.work / plain["median_s"] / 1e9} if self.work else {})


@dataclass(frozen=True)
class Benchmarked:
    """All engines have been timed."""

    size: int
    threads: int
    cpu: str
    engines: dict[str, Timing]

    def to_dict(self) -> dict[str, Any]:
        """Return what `blunet benchmark --json` prints."""
        timed = {name: timing.to_dict() for name, timing in self.engines.items()}
        packed = timed.get("packed_blunet")
        speedup = {
            f"vs_{name}": figures["median_s"] / packed["median_s"]
            for name, figures in timed.items()
            if packed and name.startswith("keras")
        }
        plain = {"size": self.size, "threads": self.threads, "cpu": self.cpu}
        return {**plain, "engines": timed, "speedup": speedup}


def list_engines(levels: int, base_filters: int) -> dict[str, NetworkSettings]:
    """Return the networks that can be timed, by the name of the engine that runs them.

    `packed_normalised` is a BLU-Net of the normalised form with two maps; `packed_coded_M` one of the published form
    whose depthwise results are binarised too, with M residual levels of everything.
    """
    networks = {
        f"keras_{name}": NetworkSettings(network=name, levels=levels, base_filters=base_filters) for name in NETWORKS
    }
    blunet = NetworkSettings(network="blunet", levels=levels, base_filters=base_filters)
    networks["packed_blunet"] = blunet
    networks["packed_normalised"] = blunet.changed(form="normalised", maps=("foreground", "distance"))
    for m in (3, 2, 1):
        levels_m = ResidualLevels.uniform(m)
        networks[f"packed_coded_{m}"] = blunet.changed(residual_levels=levels_m, binarize_depthwise=True)
    return networks


def benchmark(
    settings: BenchmarkSettings, cancel: CancelToken | None = None
) -> Iterator[Preparing | Timed | Benchmarked]:
    """Time engines on one image, in turn.

    Parameters
    ----------
    settings : BenchmarkSettings
    cancel : CancelToken, optional
        Checked between runs.

    Yields
    ------
    Preparing for every engine, Timed for every run, and Benchmarked at last.

    Raises
    ------
    InputError
        If a setting is out of range, or an engine cannot be started, such as Keras without a backend.
    Cancelled
        If asked to stop.
    """
    cancel = cancel or CancelToken()
    threads = choose_thread_count(settings.threads)
    known = list_engines(settings.levels, settings.base_filters)
    chosen = settings.engines or (*known, *CEILINGS)
    _check(settings, chosen, known)
    children: dict[str, EngineProcess] = {}
    try:
        for name in chosen:
            cancel.check()
            yield Preparing(name)
            children[name] = EngineProcess(name, known.get(name), settings.size, threads)
        timings = yield from run_in_turn(children, settings.rounds, cancel)
    finally:
        for child in children.values():
            child.kill()
    yield Benchmarked(settings.size, threads, read_processor_name(), timings)


def run_in_turn(
    children: Mapping[str, EngineProcess], rounds: int, cancel: CancelToken
) -> Generator[Timed, None, dict[str, Timing]]:
    """Run all engines once in every round, then end them. Yields every run and returns all measurements."""
    timings = {name: Timing(work=child.work) for name, child in children.items()}
    for number in range(1, rounds + 1):
        for name, child in children.items():
            cancel.check()
            seconds = child.run()
            timings[name].seconds.append(seconds)
            yield Timed(name, number, rounds, seconds)
    for name, child in children.items():
        timings[name].peak_rss_mib = child.end()
    return timings


def read_processor_name() -> str:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _check(settings: BenchmarkSettings, chosen: tuple[str, ...], known: dict[str, NetworkSettings]) -> None:
    multiple = next(iter(known.values())).multiple
    if settings.size % multiple:
        raise InputError(f"The image's side is {settings.size} pixels; give a multiple of {multiple}.")
    for name in chosen:
        if name not in known and name not in CEILINGS:
            raise InputError(f"There is no engine '{name}'; choose from {', '.join((*known, *CEILINGS))}.")


class EngineProcess:
    """An engine in a process of its own, which has started when this object is made.

    Parameters
    ----------
    name : str
        Of the engine, as `engine_benchmark_child.prepare` or another command knows it.
    network : NetworkSettings, optional
        The network that it runs. None: the engine is a loop.
    size, threads : int
        Side of the image in pixels, and processor threads.
    command : sequence of str
        Starts a process that calls `engine_benchmark_child.serve`. The request is added as its last argument.

    Raises
    ------
    InputError
        If the engine cannot be started: the last line that it wrote.
    """

    def __init__(
        self, name: str, network: NetworkSettings | None, size: int, threads: int, command: Sequence[str] = COMMAND
    ) -> None:
        self.name = name
        settings = None if network is None else network.to_dict()
        request = {"engine": name, "network": settings, "size": size, "threads": threads}
        environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads)), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [*command, json.dumps(request)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment, text=True,
        )  # fmt: skip
        self.work = float(self._answer()["work"])

    def run(self) -> float:
        """Run once and return the seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def end(self) -> float:
        """End the process and return its peak memory in MiB."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return float(self._answer()["peak_rss_mib"])

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
            self.kill()
            raise InputError(f"The engine '{self.name}' ended: {last[0] if last else 'it wrote nothing'}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

"""Subscribers learn that kernels are being compiled: once, from any thread, and not when the cache has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blunet.cli.console import report_errors
from blunet.packed.kernels import compile_notice
from blunet.packed.kernels.compile_notice import COMPILE_MESSAGE, announce_compilation, on_compile

SEGMENT = """
import sys
import threading
from blunet.packed.kernels.compile_notice import on_compile
assert "numba" not in sys.modules
heard = []
on_compile(heard.append)
import numpy as np
from blunet.packed.packed_model import load_model
model = load_model()
threads = [threading.Thread(target=model.predict, args=[np.eye(64)]) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(heard)
"""


@pytest.fixture(autouse=True)
def _nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_notice, "_announced", False)


def test_only_a_process_that_compiles_calls_back(tmp_path: Path) -> None:
    def messages() -> str:
        environment = {**os.environ, "BLUNET_KERNEL_CACHE": str(tmp_path)}
        ended = subprocess.run(
            [sys.executable, "-c", SEGMENT], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    assert messages() == str([COMPILE_MESSAGE])
    assert messages() == "[]"


def test_who_has_unsubscribed_is_not_called() -> None:
    first: list[str] = []
    second: list[str] = []
    end_first, end_second = on_compile(first.append), on_compile(second.append)
    end_first()
    end_first()
    announce_compilation()
    announce_compilation()
    end_second()
    assert (first, second) == ([], [COMPILE_MESSAGE])


def test_commands_print_it_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report_errors(announce_compilation)()
    assert capsys.readouterr() == ("", COMPILE_MESSAGE + "\n")
    compile_notice._announced = False
    announce_compilation()  # no command runs
    assert capsys.readouterr() == ("", "")

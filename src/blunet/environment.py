"""What the user's environment may not change: results, and whether a command runs at all."""

from __future__ import annotations

import os

#: Variables of numba for speed and the kind of processor; the others are for debugging.
NUMBA_KEPT = ("NUMBA_NUM_THREADS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
#: Variables that cut trainings short or change Keras' layers.
KERAS_DEBUGGING = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


def ignore_debugging() -> None:
    """Remove what was left from debugging from this process's environment. Call this before libraries are imported.

    With some variables of numba the kernels cannot be compiled, and others print to stdout. A number of threads that is
    none would end the program.
    """
    for name, value in list(os.environ.items()):
        kept = name in NUMBA_KEPT and (name != "NUMBA_NUM_THREADS" or (value.isdecimal() and int(value) > 0))
        if (name.startswith("NUMBA_") and not kept) or name in KERAS_DEBUGGING:
            del os.environ[name]

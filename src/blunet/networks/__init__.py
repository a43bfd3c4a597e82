"""The three networks as Keras models. Keras has the settings of this module, whatever its `keras.json` says."""

from __future__ import annotations

import os
import sys


def _import_keras() -> None:
    """Import Keras without the file `keras.json`, whose settings may be impossible or another backend's."""
    before = os.environ.get("KERAS_HOME")
    if "keras" not in sys.modules:
        os.environ["KERAS_HOME"] = os.devnull  # a folder that holds no file, and in which none can be made
    try:
        import keras
    finally:
        os.environ.pop("KERAS_HOME", None)
        if before is not None:
            os.environ["KERAS_HOME"] = before
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


_import_keras()

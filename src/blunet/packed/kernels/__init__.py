"""The machine code of the packed engine, made by numba: no interpreter lock, no Python objects, no state."""

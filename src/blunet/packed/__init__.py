"""The ``.blunet`` file and the engine that runs it."""

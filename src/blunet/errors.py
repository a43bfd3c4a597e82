"""The errors a user can cause: one sentence each, no traceback."""


class InputError(ValueError):
    """Bad input: a sentence that says what was wrong, with the offending value, and what to do."""

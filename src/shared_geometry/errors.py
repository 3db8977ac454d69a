"""The errors that users of this package meet."""


class InputError(ValueError):
    """An argument, parameter or array is not what was expected; the message says what came."""


class DataError(RuntimeError):
    """A data set or file on disk is missing, truncated, foreign or altered."""

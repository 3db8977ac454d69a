"""The errors and warnings that users of this package meet."""


class InputError(ValueError):
    """An argument, parameter or array is not what was expected; the message says what came."""


class DataError(RuntimeError):
    """A data set or file on disk is missing, truncated, foreign or altered."""


class SetAside(UserWarning):
    """A file of an earlier run is not what it should be: it is kept aside, and made again."""


class Waiting(UserWarning):
    """Another process makes the same files; this one goes on when that one ends."""

"""The exceptions of tracestore, one tree.

    TracestoreError
    ├── FilterSyntaxError       also a ValueError: a filter string or order_by that can't be read
    ├── InvalidArgumentError    also a ValueError: an argument that breaks a stated rule
    ├── NotFoundError           also a LookupError: no such trace, span, experiment or assessment
    ├── AlreadyExistsError      a name that must be unique is taken
    ├── MissingPackageError     also an ImportError: an optional package is not installed
    └── StoreError              the file can't be opened, read or written
        ├── ForeignFileError    a SQLite file of another program, or no SQLite file at all
        ├── NewerFileError      written by a newer tracestore than this one
        ├── DamagedFileError    the file is malformed
        ├── ReadOnlyError       a write to a store that was opened for reading
        └── QueryTimeoutError   a search ran past its time limit

Each carries `error_code`, the name MLflow gives to the same situation, so that code written for
`MlflowException` (an alias of `TracestoreError` in this package) keeps working. Nothing of sqlite3 or
msgspec escapes the public API: where one of theirs was the cause, it is chained as `__cause__`.
"""

from __future__ import annotations


class TracestoreError(Exception):
    """Base of everything that tracestore raises on purpose.

    Attributes:
        message: The text, without the class name.
        error_code: MLflow's name for the situation, such as "RESOURCE_DOES_NOT_EXIST".
    """

    error_code = "INTERNAL_ERROR"

    def __init__(self, message: str, error_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if error_code is not None:
            self.error_code = error_code

    def get_http_status_code(self) -> int:
        """Return the HTTP status that goes with the situation, for programs that answer requests."""
        return _HTTP_STATUS.get(self.error_code, 500)


#: Source: mlflow.exceptions.ERROR_CODE_TO_HTTP_STATUS of MLflow 3.17.2.
_HTTP_STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "RESOURCE_ALREADY_EXISTS": 400,
}


class FilterSyntaxError(TracestoreError, ValueError):
    """A filter string (or an `order_by` item) that can't be read.

    Its text shows the source, a caret under the offending place and what was expected there.

    Attributes:
        source: The filter as given.
        position: Index into `source` of the first offending character.
        length: How many characters the caret line covers, at least 1.
        reason: What is wrong, one line, without the picture.
    """

    error_code = "INVALID_PARAMETER_VALUE"

    def __init__(self, reason: str, source: str = "", position: int = 0, length: int = 1) -> None:
        self.reason = reason
        self.source = source
        self.position = position
        self.length = max(1, length)
        super().__init__(_picture(reason, source, position, self.length) if source else reason)

    def __reduce__(self) -> tuple[type[FilterSyntaxError], tuple[str, str, int, int]]:
        return type(self), (self.reason, self.source, self.position, self.length)


class InvalidArgumentError(TracestoreError, ValueError):
    """An argument that breaks a stated rule; the message names the argument and the rule."""

    error_code = "INVALID_PARAMETER_VALUE"


class NotFoundError(TracestoreError, LookupError):
    """No such trace, span, experiment or assessment in this store."""

    error_code = "RESOURCE_DOES_NOT_EXIST"


class AlreadyExistsError(TracestoreError):
    """A name that must be unique is taken."""

    error_code = "RESOURCE_ALREADY_EXISTS"


class MissingPackageError(TracestoreError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class StoreError(TracestoreError):
    """The file can't be opened, read or written; the cause is chained."""


class ForeignFileError(StoreError):
    """The file belongs to another program, or is no SQLite file; it was not touched."""


class NewerFileError(StoreError):
    """The file was written by a newer tracestore than this one; it was not touched."""


class DamagedFileError(StoreError):
    """SQLite reports that the file is malformed."""


class ReadOnlyError(StoreError):
    """A write to a store that was opened with `read_only=True`."""


class QueryTimeoutError(StoreError):
    """A search ran past its time limit and was stopped; narrow the filter or raise the limit."""


#: The longest part of a filter line that an error shows, in characters on either side of the caret.
_SHOWN = 60


def _picture(reason: str, source: str, position: int, length: int) -> str:
    """Return `source`'s offending line, a caret line under it, and `reason`, on three lines."""
    start = source.rfind("\n", 0, position) + 1
    end = source.find("\n", start)
    line = source[start:] if end < 0 else source[start:end]
    column = min(position - start, len(line))
    left = max(0, column - _SHOWN)
    right = min(len(line), column + _SHOWN)
    head = "…" if left else ""
    tail = "…" if right < len(line) else ""
    shown = head + _printable(line[left:right]) + tail
    width = max(1, min(length, right - column))
    return f"{shown}\n{' ' * (len(head) + column - left)}{'^' * width}\n{reason}"


def _printable(text: str) -> str:
    """Return `text` with what a terminal would act on shown as a replacement, one for one."""
    return "".join(c if c.isprintable() else "�" for c in text)

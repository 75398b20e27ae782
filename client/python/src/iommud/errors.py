"""The one error of this client."""

from __future__ import annotations


class IommudError(Exception):
    """What a call was refused with, by Linux's number and name of the code: docs/errors.md says what each means.

    `field` is the field, object or address that it is about, or empty; `elapsed_ns` how far the machine's clock moved before the answer came.
    ECONNRESET and ETIMEDOUT are made here: what the call did is then unknown.
    """

    def __init__(self, errno: int, name: str, message: str, field: str = "", elapsed_ns: int = 0) -> None:
        super().__init__(errno, name, message, field, elapsed_ns)
        self.errno = errno
        self.name = name
        self.message = message
        self.field = field
        self.elapsed_ns = elapsed_ns

    def again(self) -> IommudError:
        """The same for another who waits, with a traceback of its own."""
        return IommudError(self.errno, self.name, self.message, self.field, self.elapsed_ns)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" + (f" ({self.field})" if self.field and self.field not in self.message else "")


class NotConnected(Exception):
    """A socket that did not come to be: `status` is what HTTP answered, 0 where nothing did."""

    def __init__(self, message: str, status: int = 0, location: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.location = location


def error(name: str, message: str, field: str = "") -> IommudError:
    """An error that this client makes."""
    # The table stands on this module.
    from .gen.names import ERROR_CODE

    return IommudError(ERROR_CODE.number_of(name, "name"), name, message, field)


def invalid(field: str, message: str) -> IommudError:
    """An argument that cannot be sent."""
    return error("EINVAL", f"{field}: {message}", field)


def lost(why: str) -> IommudError:
    """The connection broke under a call."""
    return error("ECONNRESET", f"the connection is closed: {why}; what the call did is unknown")

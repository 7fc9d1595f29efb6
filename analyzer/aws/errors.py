"""Errors as AWS's clients read them: a code, a message, and members that the model knows.

In: what went wrong. Out: the body and the HTTP status of an error reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_MESSAGE: Final = 1000  # characters, by the model
_BAD_REQUEST: Final = 400
_SERVER_FAULT: Final = 500


class AwsError(Exception):
    """A call ends with this instead of an answer.

    Attributes:
        code: The error's name, by which clients choose their exception.
        http_status: The reply's status.
        members: What the body holds beside code and message.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int = _BAD_REQUEST,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the message as long as clients allow."""
        super().__init__(message[:_LONGEST_MESSAGE])
        self.code = code
        self.http_status = http_status
        self.members = dict(members or {})

    def body(self) -> dict[str, Any]:
        """Return the reply's body."""
        return {"__type": self.code, "message": str(self), **self.members}


def modelled(error: str, error_code: str, message: str, *, can_retry: bool = False) -> AwsError:
    """Return an error that has a list of codes of its own."""
    return AwsError(error, message, members={"errorCode": error_code, "canRetry": can_retry})


def invalid_input(error_code: str, message: str) -> AwsError:
    """Return the error for input that breaks a bound."""
    return modelled("InvalidInputException", error_code, message)


def internal(
    message: str = "The server failed at this request; its log says why.",
) -> AwsError:
    """Return the error for what is our fault; it says nothing of what happened."""
    members = {"canRetry": True}
    return AwsError("InternalException", message, http_status=_SERVER_FAULT, members=members)


def temporarily_unavailable(message: str) -> AwsError:
    """Return the error for what will work later."""
    return AwsError("ServiceTemporarilyUnavailableException", message, members={"canRetry": True})


def unserializable(message: str) -> AwsError:
    """Return the error for a body that is not what the operation takes."""
    return AwsError("SerializationException", message)

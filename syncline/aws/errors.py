"""Foreign errors become ours, once, here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from syncline.domain.errors import Broken, ConditionFailed, NotFound, SynclineError, Temporary

FAILED_CONDITIONS = {"ConditionalCheckFailedException", "PreconditionFailed", "412"}
MISSING = {"NoSuchKey", "NoSuchVersion", "NotFound", "404", "MethodNotAllowed", "405"}
"""Reading a removal marker by its version answers 405."""

ANSWERED_NO = FAILED_CONDITIONS | MISSING | {"TransactionCanceledException", "InvalidRange", "416"}
"""Of these our callers make an answer."""

THROTTLED = {
    "KMSThrottlingException",
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}

PASSING = THROTTLED | {
    "BadDigest",  # the bytes changed on their way
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "PriorRequestNotComplete",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
}
REFUSED_UNDONE = PASSING - {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "ServiceUnavailable",
    "TransactionInProgressException",
}
"""Of these it is known that nothing was done."""

STATUS_SERVER_ERROR = 500

CAUGHT = (ClientError, BotoCoreError, aiohttp.ClientError, OSError, TimeoutError)


@contextmanager
def ours(doing: str) -> Iterator[None]:
    """Errors of AWS and of the way there come out as ours; ``doing`` says what was tried, for the message."""
    try:
        yield
    except CAUGHT as error:
        raise translated(error, doing) from error


def translated(error: Exception, doing: str) -> SynclineError:
    if isinstance(error, ClientError):
        return _answered(error, doing)
    passing = (
        ConnectionError,
        CredentialRetrievalError,
        HTTPClientError,
        IncompleteReadError,
        ResponseStreamingError,
        aiohttp.ClientError,
        OSError,  # TimeoutError is one
    )
    if isinstance(error, passing):
        return Temporary(f"{doing}: no answer ({error})")
    return Broken(f"{doing}: {error}")


def _answered(error: ClientError, doing: str) -> SynclineError:
    code = code_of(error)
    text = f"{doing}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code == "TransactionCanceledException":
        return _cancelled(error.response.get("CancellationReasons", []), text)
    if code in FAILED_CONDITIONS:
        return ConditionFailed(text)
    if code in MISSING:
        return NotFound(text)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in PASSING or status >= STATUS_SERVER_ERROR:
        return Temporary(text)
    return Broken(text)


def _cancelled(reasons: list[dict[str, Any]], text: str) -> SynclineError:
    codes = [reason.get("Code", "None") for reason in reasons]
    if "ConditionalCheckFailed" in codes:
        return ConditionFailed(text, codes.index("ConditionalCheckFailed"))
    lasting = {"ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"}
    return Broken(text) if lasting & set(codes) else Temporary(text)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))

"""Every error Syncline raises, split by what the caller can do: retry, refuse, report.

Foreign exceptions (AWS, Redis, SQLite, HTTP) become one of these once, at the edge where they arise.
"""

from __future__ import annotations


class SynclineError(Exception):
    """Base of every error of ours. The message names the thing, the reason and what to do."""


class Temporary(SynclineError):
    """Worth a retry after a pause: throttled, timed out, connection lost, service away."""


class Broken(SynclineError):
    """Not worth a retry and nobody's fault outside: a bug, damaged data, a wrong configuration. Report it."""


class ConditionFailed(SynclineError):
    """A conditional write found another state than it expected. Read again, decide again.

    ``index`` is the position of the failed operation in a transaction, 0 for a single write.
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class NotFound(SynclineError):
    """The named object, queue or row is not there."""


class Refused(SynclineError):
    """The request cannot be carried out as asked. ``kind`` is the stable slug of an RFC 9457 problem ``type``.

    ``status`` is the HTTP status a service answers with; ``facts`` are extra members of the problem document.
    """

    def __init__(self, kind: str, detail: str, *, status: int = 400, **facts: object) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status
        self.facts = facts

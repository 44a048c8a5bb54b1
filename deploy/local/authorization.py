"""MiniStack's own authorization (1.5.33) made to ask what AWS asks.

MiniStack evaluates policies, and looks at requests for the actions, resources and condition keys in them. Where it
looks less closely than AWS does, it is told more here: the partition keys of rows (`dynamodb:LeadingKeys`), who a mail
is from (`ses:FromAddress`), under which precondition an object is written (`s3:if-none-match`), and the names under
which AWS authorizes batches and raw mail. There is one evaluator, MiniStack's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from deploy.local import request_keys
from deploy.local.request_keys import UNREADABLE

# A batch needs the permission of the single call.
AUTHORIZED_AS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
LEADING_KEYS = "dynamodb:LeadingKeys"
FROM_ADDRESS = "ses:FromAddress"

_KEYS_BY_TABLE = "syncline:KeysByTable"
_mail: ContextVar[bytes | None] = ContextVar("_mail", default=None)

Context = dict[str, Any]
# (principal's ARN, action, resource's ARN, condition keys, whether it is allowed)
Seen = Callable[[str, str, str, Mapping[str, Any], bool], None]


class RowOfTable(str):
    """The ARN of a table, where one row of it is meant: MiniStack asks about a transaction's items by table alone."""

    partition_key: str

    def __new__(cls, arn: str, partition_key: str) -> RowOfTable:
        self = super().__new__(cls, arn)
        self.partition_key = partition_key
        return self


class Authorization:
    """Stands between MiniStack and its evaluator. `seen` is told of each decision about anybody but root."""

    def __init__(self, app: Any, actions: Any, evaluator: Any, seen: Seen | None = None):
        self._actions = actions
        self._evaluator = evaluator
        self._seen = seen
        self._enforce = evaluator.enforce
        self._dynamodb_context = actions.dynamodb_service_context
        self._s3_context = actions.s3_service_context
        self._enforce_mail = app._enforce_ses_v2

    def install(self, app: Any) -> None:
        """From now on MiniStack asks as AWS does. Its modules look these functions up at each call."""
        self._evaluator.enforce = self.enforce
        self._actions.dynamodb_service_context = self.dynamodb_context
        self._actions.dynamodb_transaction_checks = self.transaction_checks
        self._actions.s3_service_context = self.s3_context
        app._enforce_ses_v2 = self.enforce_mail

    def enforce(
        self,
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Context | None = None,
    ) -> Any:
        """MiniStack's own decision: None, or why not."""
        action, context = self._as_on_aws(iam_action, resource_arn, dict(service_context or {}))
        denied = self._enforce(access_key_id, action, service, region, str(resource_arn), context)
        if self._seen is not None and not isinstance(denied, self._evaluator.AuthError):
            self._tell(self._seen, access_key_id, action, str(resource_arn), context, denied is None)
        return denied

    def dynamodb_context(self, body: bytes) -> Context:
        context: Context = self._dynamodb_context(body)
        context[_KEYS_BY_TABLE] = request_keys.partition_keys(body)
        return context

    def transaction_checks(self, iam_action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        if iam_action not in ("dynamodb:TransactWriteItems", "dynamodb:TransactGetItems"):
            return []
        return [
            (action, RowOfTable(self._actions._dynamodb_table_arn(table, region, account), key))
            for action, table, key in request_keys.transaction_rows(body)
        ]

    def s3_context(
        self, iam_action: str, query: Mapping[str, Any] | None, path: str = "", headers: Mapping[str, str] | None = None
    ) -> Context:
        context: Context = self._s3_context(iam_action, query, path, headers)
        if iam_action == "s3:PutObject":
            context |= request_keys.write_conditions(query or {}, headers or {})
        return context

    def enforce_mail(self, method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str) -> Any:
        token = _mail.set(body)
        try:
            return self._enforce_mail(method, path, headers, body, query, request_id)
        finally:
            _mail.reset(token)

    def _as_on_aws(self, action: str, resource: str, context: Context) -> tuple[str, Context]:
        by_table = context.pop(_KEYS_BY_TABLE, {})
        if isinstance(resource, RowOfTable):
            context[LEADING_KEYS] = [resource.partition_key]
        elif by_table is None:
            context[LEADING_KEYS] = [UNREADABLE]
        elif keys := {_table_name(table): keys for table, keys in by_table.items()}.get(_table_name(resource)):
            context[LEADING_KEYS] = keys
        if action == "ses:SendEmail" and (mail := _mail.get()) is not None:
            context[FROM_ADDRESS] = request_keys.sender_of(mail)
            if request_keys.is_raw_mail(mail):
                action = "ses:SendRawEmail"
        return AUTHORIZED_AS.get(action, action), context

    def _tell(self, seen: Seen, access_key: str, action: str, resource: str, context: Context, allowed: bool) -> None:
        from ministack.core.responses import get_account_id

        principal = self._evaluator.resolve_principal(access_key, get_account_id())
        if principal.policies is not None:
            seen(principal.arn, action, resource, context, allowed)


def _table_name(table: str) -> str:
    """The name of a table that is given by name or by ARN."""
    return table.rpartition("table/")[2]

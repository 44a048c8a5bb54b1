import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from syncline.aws.errors import ours
from syncline.domain.errors import Broken, ConditionFailed, NotFound, Temporary


def answer(code: str, status: int = 400, **more: object) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "Operation")


def cancelled(*codes: str) -> ClientError:
    return answer("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@pytest.mark.parametrize(
    ("foreign", "wanted"),
    [
        (answer("ConditionalCheckFailedException"), ConditionFailed),
        (answer("PreconditionFailed", 412), ConditionFailed),
        (answer("ConditionalRequestConflict", 409), Temporary),
        (answer("NoSuchKey", 404), NotFound),
        (answer("404", 404), NotFound),
        (answer("NoSuchVersion", 404), NotFound),
        (answer("405", 405), NotFound),
        (answer("ProvisionedThroughputExceededException"), Temporary),
        (answer("ThrottlingException"), Temporary),
        (answer("SlowDown", 503), Temporary),
        (answer("Unheard", 500), Temporary),
        (answer("Unheard", 503), Temporary),
        (answer("ExpiredToken"), Temporary),
        (answer("AccessDenied", 403), Broken),
        (answer("403", 403), Broken),
        (answer("ResourceNotFoundException"), Broken),
        (answer("QueueDoesNotExist"), Broken),
        (answer("ValidationException"), Broken),
        (answer("Unheard"), Broken),
        (cancelled("None", "ConditionalCheckFailed"), ConditionFailed),
        (cancelled("TransactionConflict", "None"), Temporary),
        (cancelled("ThrottlingError"), Temporary),
        (cancelled("ValidationError"), Broken),
        (ConnectTimeoutError(endpoint_url="x"), Temporary),
        (ReadTimeoutError(endpoint_url="x"), Temporary),
        (EndpointConnectionError(endpoint_url="x"), Temporary),
        (aiohttp.ClientPayloadError(), Temporary),
        (aiohttp.ServerDisconnectedError(), Temporary),
        (TimeoutError(), Temporary),
        (ConnectionResetError(), Temporary),
        (NoCredentialsError(), Broken),
        (ParamValidationError(report="x"), Broken),
    ],
)
def test_foreign_errors_become_ours(foreign, wanted):
    with pytest.raises(wanted, match="Doing it") as error, ours("Doing it"):
        raise foreign
    assert type(error.value) is wanted
    assert error.value.__cause__ is foreign


def test_the_failed_operation_of_a_transaction_is_named():
    with pytest.raises(ConditionFailed) as error, ours("Doing it"):
        raise cancelled("TransactionConflict", "None", "ConditionalCheckFailed")
    assert error.value.index == 2


def test_bugs_stay_what_they_are():
    with pytest.raises(KeyError), ours("Doing it"):
        raise KeyError("bug")

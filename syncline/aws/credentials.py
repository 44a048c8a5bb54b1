"""Credentials for clients from STS."""

from __future__ import annotations

import json
from typing import Any

from syncline.aws.errors import ours
from syncline.domain.errors import Broken
from syncline.ports.credentials import Credential, check_request

MAX_POLICY_CHARACTERS = 2048
"""AWS's bound of a session policy."""

WRITE = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
READ = ["s3:GetObject", "s3:GetObjectVersion"]

Client = Any


class StsCredentialIssuer:
    """``CredentialIssuer`` that assumes the clients' role under a session policy. Keeps nothing."""

    def __init__(self, client: Client, *, role_arn: str, bucket: str, region: str, endpoint: str) -> None:
        self._client = client
        self._role_arn = role_arn
        self._bucket = bucket
        self._region = region
        self._endpoint = endpoint

    async def issue(
        self,
        *,
        session_name: str,
        write_prefixes: tuple[str, ...],
        read_prefixes: tuple[str, ...],
        duration_s: int,
    ) -> Credential:
        check_request(write_prefixes, read_prefixes, duration_s)
        policy = session_policy(self._bucket, write_prefixes, read_prefixes)
        with ours(f"Issue a credential for {session_name}"):
            answer = await self._client.assume_role(
                RoleArn=self._role_arn,
                RoleSessionName=session_name,
                Policy=policy,
                DurationSeconds=duration_s,
            )
        issued = answer["Credentials"]
        return Credential(
            access_key_id=issued["AccessKeyId"],
            secret_access_key=issued["SecretAccessKey"],
            session_token=issued["SessionToken"],
            expires_at=int(issued["Expiration"].timestamp()),
            bucket=self._bucket,
            region=self._region,
            endpoint=self._endpoint,
        )


def session_policy(bucket: str, write_prefixes: tuple[str, ...], read_prefixes: tuple[str, ...]) -> str:
    """The JSON of the policy. Raises ``Broken`` when it would be longer than AWS takes."""
    statements = [
        {
            "Effect": "Allow",
            "Action": actions,
            "Resource": [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes],
        }
        for actions, prefixes in ((WRITE, write_prefixes), (READ, read_prefixes))
        if prefixes
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(policy) > MAX_POLICY_CHARACTERS:
        raise Broken(f"A session policy of {len(policy)} characters is over {MAX_POLICY_CHARACTERS}")
    return policy

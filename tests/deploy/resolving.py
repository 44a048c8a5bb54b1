"""What CloudFormation makes of the references in a template, once the resources are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.local import aws

_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": aws.REGION, "AWS::AccountId": aws.ACCOUNT}


def resolved(value: Any, physical: Mapping[str, str], kinds: Mapping[str, str]) -> Any:
    """`value` with its references replaced. `physical` has the physical ids, `kinds` the types, by logical id."""
    if isinstance(value, list):
        return [resolved(one, physical, kinds) for one in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name}:
            return _PSEUDO[name] if name in _PSEUDO else physical[name]
        case {"Fn::GetAtt": [name, "Arn"]} if kinds[name] == "AWS::IAM::Role":
            return f"arn:aws:iam::{aws.ACCOUNT}:role/{physical[name]}"
        case {"Fn::Join": [between, parts]}:
            return between.join(resolved(parts, physical, kinds))
    assert not any(name.startswith("Fn::") for name in value), value
    return {name: resolved(one, physical, kinds) for name, one in value.items()}


def plain(value: Any) -> Any:
    """`value` without what CloudFormation and the services write in several ways: numbers, truths, orders."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return sorted((plain(one) for one in value), key=repr)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)

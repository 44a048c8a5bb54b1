"""What cdk-nag (AwsSolutions) and cfn-lint complain of and we keep, each with its reason.

`make deploy-check` fails on a complaint that is not here, and on a line here that nothing complains of any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Suppression:
    """A rule that we do not follow `where`: a pattern over `stack/path` of a construct or `stack: message`."""

    rule: str
    where: str
    reason: str

    def covers(self, rule: str, where: str) -> bool:
        # cdk-nag names a finding of some rules in brackets behind the rule.
        return rule.partition("[")[0] == self.rule and fnmatchcase(where, self.where)


NAG = (
    Suppression("AwsSolutions-S1", "network/AccessLogs/*", "It holds the access logs: its own would feed themselves."),
    Suppression("AwsSolutions-S10", "data/FilesPolicy", "It refuses what is not TLS; the rule finds no L1 statement."),
    Suppression("AwsSolutions-EC23", "network/Balancer/*", "The one address that is meant for the whole world."),
    Suppression("AwsSolutions-AEC4", "cache/Redis", "The trial has one node: Redis holds speed, never truth."),
    Suppression("AwsSolutions-AS3", "services/*", "Alarms tell what matters (service-gone, no-healthy-host)."),
    Suppression("AwsSolutions-SMG4", "cache/Password/*", "Replaced by hand: every instance must be replaced with it."),
    Suppression("AwsSolutions-SMG4", "identity/*Keys/*", "Replaced in two steps (docs/deploy.md): old keys verify on."),
    Suppression("AwsSolutions-IAM4", "backup/Role/*", "AWS Backup's own policies follow what it comes to need."),
    Suppression(
        "AwsSolutions-IAM5", "identity/*", "Prefixes of our bucket; what names no resource; ARNs' random ends."
    ),
    Suppression("W9003", "data/Files", "The CDK takes a number where CloudFormation wants digits, and converts them."),
)
LINT = (Suppression("W3010", "network: *", "Zones are a setting: nothing is looked up in the account."),)

"""The CDK app: which stacks there are, in which order, and what one hands to the next.

    cdk deploy --all -c settings=my.toml

`cdk.json` runs this module; `settings` is the path of a TOML file (deploy/aws/examples).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from deploy.aws.alarms import AlarmsStack
from deploy.aws.backup import BackupStack
from deploy.aws.cache import CacheStack
from deploy.aws.data import DataStack
from deploy.aws.identity import IdentityStack
from deploy.aws.images import ImagesStack
from deploy.aws.mail import MailStack
from deploy.aws.messaging import MessagingStack
from deploy.aws.network import NetworkStack
from deploy.aws.observability import ObservabilityStack
from deploy.aws.services import ServicesStack
from deploy.aws.settings import Settings, Unusable, read


@dataclass(frozen=True)
class Stacks:
    """One deployment's stacks, in the order in which they are deployed; no services as long as there are no images."""

    images: ImagesStack
    network: NetworkStack
    messaging: MessagingStack
    data: DataStack
    cache: CacheStack
    mail: MailStack
    identity: IdentityStack
    backup: BackupStack
    alarms: AlarmsStack
    services: ServicesStack | None
    observability: ObservabilityStack | None

    def all(self) -> list[cdk.Stack]:
        found = [getattr(self, name) for name in self.__dataclass_fields__]
        return [stack for stack in found if stack is not None]


def compose(app: cdk.App, settings: Settings) -> Stacks:
    """All stacks of the deployment that `settings` describe. Nothing is looked up in an account."""
    account, region = settings.account, settings.region
    # What `cdk` would otherwise ask the account for.
    app.node.set_context(f"availability-zones:account={account}:region={region}", settings.availability_zones)
    shared: dict[str, Any] = {
        "settings": settings,
        "definition": settings.definition(),
        "env": cdk.Environment(account=account, region=region),
        "termination_protection": settings.production,
        "tags": {"syncline-stack": settings.stack},
    }

    def called(name: str) -> tuple[cdk.App, str]:
        return app, f"{settings.stack}-{name}"

    images = ImagesStack(*called("images"), **shared)
    network = NetworkStack(*called("network"), **shared)
    messaging = MessagingStack(*called("messaging"), **shared)
    data = DataStack(*called("data"), **shared)
    cache = CacheStack(*called("cache"), **shared, vpc=network.vpc, redis_group=network.redis_group)
    mail = MailStack(*called("mail"), **shared)
    identity = IdentityStack(*called("identity"), **shared)
    backup = BackupStack(*called("backup"), **shared)
    alarms = AlarmsStack(*called("alarms"), **shared)
    # Names and ARNs are known beforehand, so nothing else says what must be there first.
    data.add_stack_dependency(messaging, "S3 sends a test event to each queue")
    data.add_stack_dependency(network, "S3 writes its access logs to a bucket there")
    mail.add_stack_dependency(messaging, "SES publishes to the topic")
    backup.add_stack_dependency(data, "What is backed up")
    if not settings.images:
        return Stacks(images, network, messaging, data, cache, mail, identity, backup, alarms, None, None)
    services = ServicesStack(
        *called("services"),
        **shared,
        vpc=network.vpc,
        subnet_ids=network.instance_subnet_ids(),
        balancer_group=network.balancer_group,
        groups=network.groups,
        profiles=identity.profiles,
        access_logs=network.access_logs,
        redis_address=f"{cache.address}:{cache.port}",
    )
    observability = ObservabilityStack(*called("observability"), **shared, services=services, redis_nodes=cache.nodes)
    for needed in (images, data, messaging, mail, alarms):
        services.add_stack_dependency(needed, "What the services use from their start")
    return Stacks(images, network, messaging, data, cache, mail, identity, backup, alarms, services, observability)


def main() -> None:
    app = cdk.App()
    path = app.node.try_get_context("settings")
    try:
        if not path:
            raise Unusable("Say which deployment: cdk … -c settings=FILE (see deploy/aws/examples)")
        compose(app, read(Path(path)))
    except Unusable as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()

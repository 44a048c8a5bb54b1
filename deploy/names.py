"""Names and ARNs of a stack's resources; everything is named `{stack}-…`."""

from __future__ import annotations

from dataclasses import dataclass

from syncline.aws.names import dead_queue_name, queue_name, table_name
from syncline.ports.queues import Queue
from syncline.ports.tables import Table


@dataclass(frozen=True, slots=True)
class Names:
    """What a stack's resources are called.

    `account` is the 12-digit account id; `bucket` is chosen freely, as bucket names are global.
    """

    region: str
    account: str
    bucket: str
    stack: str = "syncline"

    def table(self, table: str) -> str:
        return table_name(self.stack, Table(table))

    def queue(self, queue: str) -> str:
        return queue_name(self.stack, Queue(queue))

    def dead_queue(self, queue: str) -> str:
        return dead_queue_name(self.stack, Queue(queue))

    @property
    def topic(self) -> str:
        return f"{self.stack}-changes"

    def identity(self, service: str) -> str:
        return f"{self.stack}-{service}"

    @property
    def client_role(self) -> str:
        return f"{self.stack}-client"

    @property
    def bucket_arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    @property
    def access_logs_bucket(self) -> str:
        """Where it is logged who read and wrote which object, and who sent which request. On AWS only."""
        return f"{self.bucket}-access-logs"

    def objects_arn(self, prefix: str) -> str:
        """All objects under `prefix`, which ends with a slash."""
        return f"{self.bucket_arn}/{prefix}*"

    def table_arn(self, table: str) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.table(table)}"

    def queue_arn(self, queue: str) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.queue(queue)}"

    def dead_queue_arn(self, queue: str) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.dead_queue(queue)}"

    @property
    def mail_topic(self) -> str:
        return f"{self.stack}-mail-events"

    @property
    def mail_topic_arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.mail_topic}"

    @property
    def mail_configuration_set(self) -> str:
        """SES's configuration set under which mail is sent: it publishes what became of mail to the topic."""
        return f"{self.stack}-mail"

    @property
    def topic_arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.topic}"

    @property
    def client_role_arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.client_role}"

    def role_arn(self, service: str) -> str:
        """What the instances of a service run as."""
        return f"arn:aws:iam::{self.account}:role/{self.identity(service)}"

    @property
    def redis(self) -> str:
        return f"{self.stack}-redis"

    @property
    def redis_secret(self) -> str:
        return f"{self.stack}/redis"

    @property
    def backups(self) -> str:
        """The vault of backups, and the role that makes them. On AWS only."""
        return f"{self.stack}-backups"

    def repository(self, service: str) -> str:
        """Where the image of a service is pushed to."""
        return f"{self.stack}/{service}"

    def log_group(self, service: str) -> str:
        return f"/{self.stack}/{service}"

    def log_group_arn(self, service: str) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group(service)}"

    def repository_arn(self, service: str) -> str:
        return f"arn:aws:ecr:{self.region}:{self.account}:repository/{self.repository(service)}"

    def secret(self, kind: str) -> str:
        """The secret, in Secrets Manager, with a kind of signing keys (`permit_keys`, …)."""
        return f"{self.stack}/{kind.replace('_', '-')}"

    def secret_arn(self, secret: str) -> str:
        """Secrets Manager ends its ARNs with six random characters."""
        return f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:{secret}-??????"

    def alarm_topic(self, severity: str) -> str:
        return f"{self.stack}-alarms-{severity}"

    def alarm_topic_arn(self, severity: str) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.alarm_topic(severity)}"

    def scaling_group_arn(self, service: str) -> str:
        """The Auto Scaling group, called like its identity, of the service's instances."""
        groups = f"arn:aws:autoscaling:{self.region}:{self.account}:autoScalingGroup"
        return f"{groups}:*:autoScalingGroupName/{self.identity(service)}"

    def alarm_arn(self, alarm: str) -> str:
        """`alarm` is its whole name."""
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{alarm}"

    @property
    def client_boundary(self) -> str:
        """The permissions boundary of the clients' role."""
        return f"{self.client_role}-boundary"

    def user_arn(self, service: str) -> str:
        return f"arn:aws:iam::{self.account}:user/{self.identity(service)}"

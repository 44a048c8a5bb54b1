"""The ports on AWS and Redis. Only a service's ``__main__`` imports this."""

from syncline.aws.clock import SystemClock
from syncline.aws.connect import Aws, connect
from syncline.aws.settings import Secrets, Settings, SigningKey

__all__ = ["Aws", "Secrets", "Settings", "SigningKey", "SystemClock", "connect"]

"""What a person decides about one deployment on AWS, read from a TOML file (deploy/aws/examples)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from deploy.definition import SERVICES, Definition, define
from deploy.names import Names

_DOMAIN = r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_IMAGE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Everything of a stack is named `{stack}-…`; Auto Scaling, IAM and load balancers allow 32 characters at the least.
_STACK = r"^[a-z][a-z0-9-]{0,14}[a-z0-9]$"
# Those of AWS are managed the same way; China and GovCloud have other ARNs, which Names does not make.
_REGION = r"^(af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-[0-9]$"


class Unusable(Exception):
    """The settings cannot be deployed; the text says which one, and why."""


class Variant(Enum):
    TRIAL = "trial"
    """One availability zone, one small instance a service, no NAT: the least that runs. Deleted without a trace."""
    PRODUCTION = "production"
    """Three availability zones, two or more instances a service, everything retained."""


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Instances of one service: their type, and between how many of them its group scales."""

    instance_type: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
    least: int
    most: int

    @property
    def graviton(self) -> bool:
        """AWS marks its own processors by a g after the generation: t4g, c7gn, m8gd."""
        return re.match(r"[a-z]+[0-9]+g", self.instance_type) is not None


# A service is one process, which uses one core: more small machines serve more than fewer large ones.
SIZES = {
    Variant.TRIAL: dict.fromkeys(SERVICES, Size("t4g.small", 1, 2)),
    Variant.PRODUCTION: {
        "gateway": Size("c7g.medium", 3, 30),
        "metadata": Size("c7g.medium", 3, 30),
        "syncer": Size("c7g.medium", 3, 30),
        "notifier": Size("c7g.medium", 2, 12),
    },
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One deployment, as a file says it; docs/deploy.md has a table of what may be said.

    `domain` is where people and clients reach it; `bucket` is free to choose, as names are global.

    HTTPS needs either `certificate_arn`, or `hosted_zone` (its name) with `hosted_zone_id`: then the certificate and
    the address record of `domain` are made in that zone, and SES's records if `mail_domain` lies in it.
    `images` has the digest of each service's image; without them there are no services yet.
    """

    account: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}$")]
    region: Annotated[str, msgspec.Meta(pattern=_REGION)]
    variant: Variant
    domain: Annotated[str, msgspec.Meta(pattern=_DOMAIN)]
    mail_domain: Annotated[str, msgspec.Meta(pattern=_DOMAIN)]
    bucket: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    alarm_address: str
    stack: Annotated[str, msgspec.Meta(pattern=_STACK)] = "syncline"
    zone_letters: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{3}$")] = "abc"
    certificate_arn: str = ""
    hosted_zone: str = ""
    hosted_zone_id: str = ""
    cors_origins: tuple[str, ...] = ()
    images: dict[str, str] = {}
    sizes: dict[str, Size] = {}
    service_settings: dict[str, str] = {}
    firewall: bool = False
    monthly_budget_usd: Annotated[int, msgspec.Meta(ge=0)] = 0
    paging_address: str = ""
    roll_back_on_alarms: bool = True

    @property
    def production(self) -> bool:
        return self.variant is Variant.PRODUCTION

    @property
    def zones(self) -> int:
        """In how many availability zones there are instances and data."""
        return 3 if self.production else 1

    @property
    def availability_zones(self) -> list[str]:
        """Those of the region that subnets may lie in; in some regions an account has no a, b or c."""
        return [f"{self.region}{letter}" for letter in self.zone_letters]

    @property
    def public_url(self) -> str:
        return f"https://{self.domain}"

    @property
    def mail_from(self) -> str:
        return f"mail@{self.mail_domain}"

    @property
    def bounce_domain(self) -> str:
        """The custom MAIL FROM domain (docs/deploy.md, Mail)."""
        return f"bounce.{self.mail_domain}"

    @property
    def makes_mail_records(self) -> bool:
        """Whether SES's DNS records can be made in the hosted zone."""
        return bool(self.hosted_zone_id) and _within(self.mail_domain, self.hosted_zone)

    @property
    def graviton(self) -> bool:
        """Whether instances are ARM's. All are, or none: there is one image of the operating system."""
        return self.size(SERVICES[0]).graviton

    def size(self, service: str) -> Size:
        return self.sizes.get(service) or SIZES[self.variant][service]

    def definition(self) -> Definition:
        """The one definition of the resources, with this deployment's names."""
        names = Names(region=self.region, account=self.account, bucket=self.bucket, stack=self.stack)
        return define(names, mail_from=self.mail_from, cors_origins=self.cors_origins or (self.public_url,))


def read(path: Path) -> Settings:
    """The settings of the TOML file `path`. Raises `Unusable` in words for a person."""
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Unusable(f"The settings {path} cannot be read: {error}") from error
    return checked(found)


def checked(found: Mapping[str, Any]) -> Settings:
    """The settings of what a file holds. Raises `Unusable`, naming the setting."""
    try:
        settings = msgspec.convert(dict(found), Settings)
    except msgspec.ValidationError as error:
        raise Unusable(f"The settings are not usable: {error}") from error
    for complaint in _complaints(settings):
        raise Unusable(complaint)
    return settings


def _complaints(settings: Settings) -> list[str]:
    wrong = []
    if bool(settings.certificate_arn) == bool(settings.hosted_zone_id):
        wrong.append("HTTPS needs either certificate_arn, or hosted_zone and hosted_zone_id")
    if bool(settings.hosted_zone) != bool(settings.hosted_zone_id):
        wrong.append("hosted_zone (its name) and hosted_zone_id go together")
    if settings.hosted_zone and not _within(settings.domain, settings.hosted_zone):
        wrong.append(f"domain {settings.domain} does not lie in the hosted zone {settings.hosted_zone}")
    certificate = f"arn:aws:acm:{settings.region}:{settings.account}:certificate/"
    if settings.certificate_arn and not settings.certificate_arn.startswith(certificate):
        wrong.append(f"certificate_arn must begin with {certificate}: the load balancer takes no other")
    if not _ADDRESS.fullmatch(settings.alarm_address):
        wrong.append("alarm_address is the mail address that alarms go to")
    wrong += [f"{kind} names {name!r}, which is no service" for kind, name in _strangers(settings)]
    if settings.images and len(settings.images) < len(SERVICES):
        wrong.append(
            f"images has a digest for each service ({', '.join(SERVICES)}), or is left out until there are some"
        )
    wrong += [
        f"images.{service} is the digest of an image, as sha256:… with 64 hex digits"
        for service, digest in settings.images.items()
        if not _IMAGE_DIGEST.fullmatch(digest)
    ]
    wrong += [
        f"sizes.{service}: 1 <= least <= most"
        for service, size in settings.sizes.items()
        if not 1 <= size.least <= size.most
    ]
    wrong += [
        f"service_settings.{name}: variables of the services begin with SYNCLINE_ or OTEL_ (docs/operations.md)"
        for name in settings.service_settings
        if not name.startswith(("SYNCLINE_", "OTEL_"))
    ]
    if len({settings.size(service).graviton for service in SERVICES}) > 1:
        wrong.append("sizes: instances are all of Graviton (t4g, c7g, …) or none is")
    wrong += [
        f"service_settings.{name}: a value is one line"
        for name, value in settings.service_settings.items()
        if not value.isprintable()
    ]
    if settings.service_settings.get("SYNCLINE_LOG_LEVEL", "info") not in ("info", "debug"):
        wrong.append("service_settings.SYNCLINE_LOG_LEVEL is info or debug: alarms are made of lines at info")
    return wrong


def _strangers(settings: Settings) -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind, named in (("images", settings.images), ("sizes", settings.sizes))
        for name in named
        if name not in SERVICES
    ]


def _within(domain: str, zone: str) -> bool:
    return domain == zone or domain.endswith(f".{zone}")

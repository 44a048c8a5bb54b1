"""List prices of AWS in US dollars, with where each was read.

Taxes, discounts, reservations and free allowances are left out.

Nothing here was read from AWS's own price list: that is not among what could be looked up. Each price names the page it
was confirmed on, and prices that were found nowhere say so (``SEEN_NOWHERE``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

CHECKED_ON = date(2026, 11, 24)
"""When the pages below were looked up."""
SEEN_NOWHERE = "not confirmed"


class Price(NamedTuple):
    """``tiers``: (up to this amount a month, dollars for one). ``source``: where it was confirmed, and when that was
    written."""

    service: str
    unit: str
    tiers: tuple[tuple[float, float], ...]
    source: str

    def of(self, amount: float) -> float:
        """Dollars for so many a month."""
        dollars, begin = 0.0, 0.0
        for end, each in self.tiers:
            dollars += max(0.0, min(amount, end) - begin) * each
            begin = end
        return dollars


def flat(service: str, unit: str, dollars: float, source: str) -> Price:
    return Price(service, unit, ((math.inf, dollars),), source)


MILLION = 1_000_000
TB = 1_024.0

_PRICE_TABLES = "several public price tables"
US_EAST_1: Mapping[str, Price] = {
    "c7g.medium": flat("EC2", "hour of c7g.medium", 0.0363, _PRICE_TABLES),
    "t4g.small": flat("EC2", "hour of t4g.small", 0.0168, _PRICE_TABLES),
    "disk": flat("EC2", "GB-month of gp3", 0.08, _PRICE_TABLES),
    "address": flat(
        "VPC", "hour of a public IPv4 address", 0.005, "cloudburn.io/blog/aws-nat-gateway-pricing, 2026-02"
    ),
    "nat": flat("VPC", "hour of a NAT gateway", 0.045, "cloudburn.io/blog/aws-nat-gateway-pricing, 2026-02"),
    "nat data": flat("VPC", "GB through NAT", 0.045, "cloudburn.io/blog/aws-nat-gateway-pricing, 2026-02"),
    "endpoint": flat("VPC", "hour of an interface endpoint in a zone", 0.01, "egresscost.com/aws"),
    "endpoint data": flat("VPC", "GB through interface endpoints", 0.01, "egresscost.com/aws"),
    "balancer": flat("Load balancer", "hour", 0.0225, SEEN_NOWHERE),
    "balancer capacity": flat("Load balancer", "LCU-hour", 0.008, "aws.darcy-it.com"),
    "object storage": Price(
        "S3",
        "GB-month",
        ((50 * TB, 0.023), (500 * TB, 0.022), (math.inf, 0.021)),
        f"first tier: {_PRICE_TABLES}; the others: {SEEN_NOWHERE}",
    ),
    "object writes": flat("S3", "PUT, POST or LIST", 0.005 / 1_000, _PRICE_TABLES),
    "object reads": flat("S3", "GET or HEAD", 0.0004 / 1_000, _PRICE_TABLES),
    "row reads": flat(
        "DynamoDB", "read unit", 0.125 / MILLION, "airbyte.com/data-engineering-resources/dynamodb-pricing"
    ),
    "row writes": flat(
        "DynamoDB", "write unit", 0.625 / MILLION, "airbyte.com/data-engineering-resources/dynamodb-pricing"
    ),
    "row storage": flat("DynamoDB", "GB-month", 0.25, "aws.amazon.com/dynamodb/pricing"),
    "row recovery": flat(
        "DynamoDB", "GB-month of point-in-time recovery", 0.20, "finops.com.py/services/dynamodb/backups"
    ),
    "row backups": flat(
        "Backup", "GB-month of each backup of a table", 0.10, "finops.com.py/services/dynamodb/backups"
    ),
    "object backups": flat("Backup", "GB-month of the bucket's backup", 0.05, SEEN_NOWHERE),
    "queue requests": flat("SQS", "request", 0.40 / MILLION, "cloudburn.io/blog/amazon-sqs-pricing, 2026-03"),
    "fifo requests": flat(
        "SQS", "request to a FIFO queue", 0.50 / MILLION, "cloudburn.io/blog/amazon-sqs-pricing, 2026-03"
    ),
    "publications": flat(
        "SNS",
        "publication",
        0.50 / MILLION,
        "factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols, 2026-06",
    ),
    "mails": flat("SES", "mail", 0.10 / 1_000, SEEN_NOWHERE),
    "cache.m7g.large": flat("ElastiCache", "hour, Valkey", 0.1264, "a copy of AWS's price list of 2026-10-02"),
    "cache.t4g.micro": flat("ElastiCache", "hour, Valkey", 0.0128, "a copy of AWS's price list of 2026-10-02"),
    "logs": flat("CloudWatch", "GB of logs", 0.50, "cloudcostcutter.cloud, 2026"),
    "metrics": flat("CloudWatch", "custom metric", 0.30, "signoz.io/guides/cloudwatch-pricing, 2026-02"),
    "alarms": flat("CloudWatch", "alarm-month", 0.10, SEEN_NOWHERE),
    "dashboards": flat(
        "CloudWatch", "dashboard-month", 3.00, "factualminds.com/blog/amazon-cloudwatch-pricing, 2026-06"
    ),
    "secrets": flat("Secrets Manager", "secret-month", 0.40, SEEN_NOWHERE),
    "data out": Price(
        "Data transfer",
        "GB to the internet",
        ((10 * TB, 0.09), (50 * TB, 0.085), (150 * TB, 0.07), (math.inf, 0.05)),
        "leanopstech.com/blog/aws-data-transfer-pricing-2026, 2026-04",
    ),
}
"""STS costs nothing; neither do objects deleted, rows expired, SNS's deliveries to SQS, nor data that comes in."""

REGIONS: Mapping[str, Mapping[str, Price]] = {"us-east-1": US_EAST_1}

"""Alarms about what AWS alone tells of, the month's budget, and a dashboard of everything."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets

from deploy.aws.alarms import make_alarm
from deploy.aws.dashboard import dashboard
from deploy.aws.services import ServicesStack
from deploy.aws.settings import Settings
from deploy.aws.watching import Resources, watched, watched_of_aws
from deploy.definition import TABLES, Definition


class ObservabilityStack(cdk.Stack):
    """Made last: it names what the other stacks hold."""

    def __init__(
        self,
        scope: Any,
        name: str,
        *,
        settings: Settings,
        definition: Definition,
        services: ServicesStack,
        redis_nodes: list[str],
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._settings = settings
        self._definition = definition
        names = definition.names
        of_aws = watched_of_aws(names, self._resources(services, redis_nodes))
        for one in of_aws:
            make_alarm(self, names, one)
        if settings.monthly_budget_usd:
            self._budget()
        shown = [names.alarm_arn(one.name) for one in (*watched(names), *of_aws)]
        dashboard(self, names, services.balancer, shown)

    def _resources(self, services: ServicesStack, redis_nodes: list[str]) -> Resources:
        names, balancer = self._definition.names, services.balancer
        whole = {"LoadBalancer": balancer.balancer.load_balancer_full_name}
        groups = balancer.target_groups.items()
        return {
            "the load balancer": {"": whole},
            "each target group": {
                service: {**whole, "TargetGroup": group.target_group_full_name} for service, group in groups
            },
            "each table": {table: {"TableName": names.table(table)} for table in TABLES},
            "each Redis node": {node.rpartition("-")[2]: {"CacheClusterId": node} for node in redis_nodes},
            "the account": {"": {}},
            "the certificate": {"": {"CertificateArn": balancer.certificate.certificate_arn}},
            "the backup vault": {"": {"BackupVaultName": names.backups}},
        }

    def _budget(self) -> None:
        subscriber = budgets.CfnBudget.SubscriberProperty(
            subscription_type="EMAIL", address=self._settings.alarm_address
        )
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=self._definition.names.stack,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self._settings.monthly_budget_usd, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind, comparison_operator="GREATER_THAN", threshold=100
                    ),
                    subscribers=[subscriber],
                )
                for kind in ("ACTUAL", "FORECASTED")
            ],
        )

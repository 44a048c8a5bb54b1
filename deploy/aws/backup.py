"""Backups of the tables and the bucket, in a vault of their own. How to restore: docs/deploy.md."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_backup as backup, aws_iam as iam

from deploy.aws.settings import Settings
from deploy.definition import TABLES, Definition

# At night in Europe. Point-in-time recovery of the tables goes back as far, to the second, but lies in the same account
# under the same table: this outlives both.
DAILY = "cron(0 3 * * ? *)"
DAILY_KEPT_DAYS, DAILY_KEPT_DAYS_TRIAL = 35, 7
MONTHLY = "cron(0 5 1 * ? *)"
MONTHLY_KEPT_DAYS = 365
# Nobody deletes a recovery point younger than this, however much they may.
LOCKED_DAYS = 7
AWS_POLICIES = (
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "service-role/AWSBackupServiceRolePolicyForRestores",
    "AWSBackupServiceRolePolicyForS3Backup",
    "AWSBackupServiceRolePolicyForS3Restore",
)


class BackupStack(cdk.Stack):
    """Daily backups; in production monthly ones of the tables too, and a vault that is locked."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        names = definition.names
        tables = [names.table_arn(table) for table in TABLES]
        vault = backup.CfnBackupVault(
            self,
            "Vault",
            backup_vault_name=names.backups,
            lock_configuration=backup.CfnBackupVault.LockConfigurationTypeProperty(min_retention_days=LOCKED_DAYS)
            if settings.production
            else None,
        )
        vault.apply_removal_policy(cdk.RemovalPolicy.RETAIN if settings.production else cdk.RemovalPolicy.DESTROY)
        role = iam.Role(
            self,
            "Role",
            role_name=names.backups,
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(policy) for policy in AWS_POLICIES],
        )
        kept = DAILY_KEPT_DAYS if settings.production else DAILY_KEPT_DAYS_TRIAL
        self._plan("Daily", vault, role, DAILY, kept, [*tables, names.bucket_arn])
        if settings.production:
            self._plan("Monthly", vault, role, MONTHLY, MONTHLY_KEPT_DAYS, tables)

    def _plan(
        self, called: str, vault: backup.CfnBackupVault, role: iam.Role, schedule: str, days: int, arns: list[str]
    ) -> None:
        rule = backup.CfnBackupPlan.BackupRuleResourceTypeProperty(
            rule_name=called.lower(),
            target_backup_vault=vault.ref,
            schedule_expression=schedule,
            lifecycle=backup.CfnBackupPlan.LifecycleResourceTypeProperty(delete_after_days=days),
        )
        plan = backup.CfnBackupPlan(
            self,
            called,
            backup_plan=backup.CfnBackupPlan.BackupPlanResourceTypeProperty(
                backup_plan_name=f"{vault.backup_vault_name}-{called.lower()}", backup_plan_rule=[rule]
            ),
        )
        backup.CfnBackupSelection(
            self,
            f"{called}Selection",
            backup_plan_id=plan.ref,
            backup_selection=backup.CfnBackupSelection.BackupSelectionResourceTypeProperty(
                selection_name=called.lower(), iam_role_arn=role.role_arn, resources=arns
            ),
        )

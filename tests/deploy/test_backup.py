"""Backups: all tables and the bucket, every day, where nobody deletes them in a hurry."""

from __future__ import annotations

from deploy.definition import TABLES
from tests.deploy.conftest import Synthesis


def plans(synthesis: Synthesis) -> dict[str, tuple[dict, set[str]]]:
    """Each plan's only rule, and what it is for."""
    selections = synthesis.resources("backup", "AWS::Backup::BackupSelection").values()
    chosen = {
        one["Properties"]["BackupPlanId"]["Ref"]: set(one["Properties"]["BackupSelection"]["Resources"])
        for one in selections
    }
    found = {}
    for name, plan in synthesis.resources("backup", "AWS::Backup::BackupPlan").items():
        [rule] = plan["Properties"]["BackupPlan"]["BackupPlanRule"]
        found[name] = (rule, chosen[name])
    return found


def test_everything_that_holds_data_is_backed_up_each_day(synthesis: Synthesis):
    names = synthesis.settings.definition().names
    rule, chosen = plans(synthesis)["Daily"]
    assert chosen == {*(names.table_arn(table) for table in TABLES), names.bucket_arn}
    assert rule["ScheduleExpression"] == "cron(0 3 * * ? *)"


def test_the_bucket_tells_the_backup_what_changes(synthesis: Synthesis):
    bucket = synthesis.resources("data", "AWS::S3::Bucket")["Files"]["Properties"]
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}


def test_production_keeps_daily_backups_five_weeks_and_monthly_ones_of_the_tables_a_year(production: Synthesis):
    found = plans(production)
    kept = {name: rule["Lifecycle"]["DeleteAfterDays"] for name, (rule, _) in found.items()}
    assert kept == {"Daily": 35, "Monthly": 365}
    names = production.settings.definition().names
    assert names.bucket_arn not in found["Monthly"][1]


def test_in_production_the_vault_is_locked_for_no_longer_than_anything_is_kept(production: Synthesis, trial: Synthesis):
    [vault] = production.resources("backup", "AWS::Backup::BackupVault").values()
    locked_days = vault["Properties"]["LockConfiguration"]["MinRetentionDays"]
    # A rule that keeps less than the lock asks for would fail at each backup.
    assert 1 <= locked_days <= min(rule["Lifecycle"]["DeleteAfterDays"] for rule, _ in plans(production).values())
    [vault] = trial.resources("backup", "AWS::Backup::BackupVault").values()
    assert "LockConfiguration" not in vault["Properties"]

"""What MiniStack's CloudFormation (1.5.33) does otherwise than AWS's, of what the application's stacks ask for.

The tests hold this list: what is on it does not work, and what is not on it does. docs/deploy.md shows it to people.
"""

from __future__ import annotations

# Types it does not know, and what that means.
UNSUPPORTED_TYPES = {
    "AWS::Backup::BackupSelection": "the plan is there, without what it is for",
}

# Properties that are not there afterwards, and what is instead.
IGNORED_PROPERTIES = {
    ("AWS::Backup::BackupVault", "LockConfiguration"): "recovery points can be deleted at any time",
    ("AWS::DynamoDB::Table", "PointInTimeRecoverySpecification"): "no point-in-time recovery",
    ("AWS::DynamoDB::Table", "TimeToLiveSpecification"): "rows do not expire",
    ("AWS::IAM::Role", "PermissionsBoundary"): "the role has no boundary",
    ("AWS::S3::Bucket", "LifecycleConfiguration"): "nothing expires or changes its class",
    ("AWS::S3::Bucket", "LoggingConfiguration"): "no access logs",
    ("AWS::SES::EmailIdentity", "DkimSigningAttributes"): "the length of DKIM keys is not said",
    ("AWS::SNS::Topic", "SignatureVersion"): "messages are signed by version 1",
}

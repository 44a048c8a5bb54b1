"""What a local AWS has, read back by each service's own API, in the words of CloudFormation.

A reader answers the properties of one resource; a property that the service does not have is not in the answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from deploy.local.place import Place
from deploy.names import Names
from tests.deploy.local_cloudformation import clients_of

Properties = dict[str, Any]
APIS = ("s3", "dynamodb", "sqs", "sns", "iam", "sesv2", "backup", "secretsmanager")


class Reader:
    """Clients of one local AWS. `read` has a method for each type of resource, by its physical id."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def __aenter__(self) -> Reader:
        self._clients = clients_of(self._place, *APIS)
        opened = await self._clients.__aenter__()
        self._api = dict(zip(APIS, opened, strict=True))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._clients.__aexit__(*error)

    async def read(self, kind: str, physical: str, properties: Properties) -> Properties:
        """The resource as it is. `properties` are those it was asked for with: some name what it belongs to."""
        readers: dict[str, Callable[[str, Properties], Awaitable[Properties]]] = {
            "AWS::Backup::BackupPlan": self._backup_plan,
            "AWS::Backup::BackupVault": self._backup_vault,
            "AWS::DynamoDB::Table": self._table,
            "AWS::IAM::InstanceProfile": self._instance_profile,
            "AWS::IAM::ManagedPolicy": self._managed_policy,
            "AWS::IAM::Role": self._role,
            "AWS::S3::Bucket": self._bucket,
            "AWS::S3::BucketPolicy": self._bucket_policy,
            "AWS::SES::ConfigurationSet": self._configuration_set,
            "AWS::SES::ConfigurationSetEventDestination": self._event_destination,
            "AWS::SES::EmailIdentity": self._email_identity,
            "AWS::SNS::Subscription": self._subscription,
            "AWS::SNS::Topic": self._topic,
            "AWS::SNS::TopicPolicy": self._topic_policy,
            "AWS::SQS::Queue": self._queue,
            "AWS::SQS::QueuePolicy": self._queue_policy,
            "AWS::SecretsManager::Secret": self._secret,
        }
        found = await readers[kind](physical, properties)
        return {name: value for name, value in found.items() if value is not None}

    async def everything(self, names: Names) -> AsyncIterator[tuple[str, Properties]]:
        """Each resource of a stack that there is: its type, and what it is."""
        sqs, sns, prefix = self._api["sqs"], self._api["sns"], f"{names.stack}-"
        for bucket in (await self._api["s3"].list_buckets())["Buckets"]:
            yield "AWS::S3::Bucket", await self._bucket(bucket["Name"], {})
            yield "AWS::S3::BucketPolicy", await self._bucket_policy("", {"Bucket": bucket["Name"]})
        for table in (await self._api["dynamodb"].list_tables())["TableNames"]:
            yield "AWS::DynamoDB::Table", await self.read("AWS::DynamoDB::Table", table, {})
        for url in (await sqs.list_queues(QueueNamePrefix=prefix))["QueueUrls"]:
            yield "AWS::SQS::Queue", await self._queue(url, {})
            if "Policy" in await self._attributes(url):
                yield "AWS::SQS::QueuePolicy", await self._queue_policy("", {"Queues": [url]})
        for topic in (await sns.list_topics())["Topics"]:
            yield "AWS::SNS::Topic", await self._topic(topic["TopicArn"], {})
            yield "AWS::SNS::TopicPolicy", await self._topic_policy("", {"Topics": [topic["TopicArn"]]})
        for subscription in (await sns.list_subscriptions())["Subscriptions"]:
            yield "AWS::SNS::Subscription", await self._subscription(subscription["SubscriptionArn"], {})
        for role in (await self._api["iam"].list_roles())["Roles"]:
            if role["RoleName"].startswith(prefix):
                yield "AWS::IAM::Role", await self.read("AWS::IAM::Role", role["RoleName"], {})
        for user in (await self._api["iam"].list_users())["Users"]:
            yield "AWS::IAM::User", await self._user(user["UserName"])

    async def _user(self, name: str) -> Properties:
        iam = self._api["iam"]
        policies = []
        for policy in (await iam.list_user_policies(UserName=name))["PolicyNames"]:
            document = (await iam.get_user_policy(UserName=name, PolicyName=policy))["PolicyDocument"]
            policies.append({"PolicyName": policy, "PolicyDocument": document})
        return {"UserName": name, "Policies": policies}

    # -- S3

    async def _bucket(self, name: str, _: Properties) -> Properties:
        s3 = self._api["s3"]
        found: Properties = {"BucketName": name}
        found["VersioningConfiguration"] = {"Status": (await s3.get_bucket_versioning(Bucket=name)).get("Status")}
        found["NotificationConfiguration"] = _notifications(await s3.get_bucket_notification_configuration(Bucket=name))
        found["LoggingConfiguration"] = _logging(await s3.get_bucket_logging(Bucket=name))
        with suppress(ClientError):
            found["CorsConfiguration"] = {"CorsRules": _cors((await s3.get_bucket_cors(Bucket=name))["CORSRules"])}
        with suppress(ClientError):
            rules = (await s3.get_bucket_lifecycle_configuration(Bucket=name))["Rules"]
            found["LifecycleConfiguration"] = {"Rules": [_lifecycle(rule) for rule in rules]}
        with suppress(ClientError):
            answer = await s3.get_bucket_encryption(Bucket=name)
            [rule] = answer["ServerSideEncryptionConfiguration"]["Rules"]
            by_default = {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]}
            found["BucketEncryption"] = {"ServerSideEncryptionConfiguration": [by_default]}
        with suppress(ClientError):
            answer = await s3.get_public_access_block(Bucket=name)
            found["PublicAccessBlockConfiguration"] = answer["PublicAccessBlockConfiguration"]
        with suppress(ClientError):
            answer = await s3.get_bucket_ownership_controls(Bucket=name)
            found["OwnershipControls"] = {"Rules": answer["OwnershipControls"]["Rules"]}
        return found

    async def _bucket_policy(self, _: str, asked: Properties) -> Properties:
        bucket = asked["Bucket"]
        policy = (await self._api["s3"].get_bucket_policy(Bucket=bucket))["Policy"]
        return {"Bucket": bucket, "PolicyDocument": json.loads(policy)}

    # -- DynamoDB

    async def _table(self, name: str, _: Properties) -> Properties:
        dynamodb = self._api["dynamodb"]
        table = (await dynamodb.describe_table(TableName=name))["Table"]
        expiry = (await dynamodb.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
        backups = (await dynamodb.describe_continuous_backups(TableName=name))["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        return {
            "TableName": name,
            "KeySchema": table["KeySchema"],
            "AttributeDefinitions": table["AttributeDefinitions"],
            "BillingMode": table["BillingModeSummary"]["BillingMode"],
            "DeletionProtectionEnabled": table.get("DeletionProtectionEnabled"),
            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": expiry["AttributeName"]}
            if expiry["TimeToLiveStatus"] == "ENABLED"
            else None,
            "PointInTimeRecoverySpecification": {
                "PointInTimeRecoveryEnabled": True,
                "RecoveryPeriodInDays": recovery.get("RecoveryPeriodInDays"),
            }
            if recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
            else None,
        }

    # -- SQS, SNS

    async def _queue(self, url: str, _: Properties) -> Properties:
        found = await self._attributes(url)
        read: Properties = {name: _parsed(value) for name, value in found.items()}
        return read | {"QueueName": url.rpartition("/")[2]}

    async def _queue_policy(self, _: str, asked: Properties) -> Properties:
        [url] = asked["Queues"]
        return {"Queues": [url], "PolicyDocument": json.loads((await self._attributes(url))["Policy"])}

    async def _attributes(self, url: str) -> dict[str, str]:
        answer = await self._api["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found: dict[str, str] = answer["Attributes"]
        return found

    async def _topic(self, arn: str, _: Properties) -> Properties:
        found = await self._topic_attributes(arn)
        return {"TopicName": arn.rpartition(":")[2], "SignatureVersion": found.get("SignatureVersion")}

    async def _topic_policy(self, _: str, asked: Properties) -> Properties:
        [arn] = asked["Topics"]
        return {"Topics": [arn], "PolicyDocument": json.loads((await self._topic_attributes(arn))["Policy"])}

    async def _topic_attributes(self, arn: str) -> dict[str, str]:
        found: dict[str, str] = (await self._api["sns"].get_topic_attributes(TopicArn=arn))["Attributes"]
        return found

    async def _subscription(self, arn: str, _: Properties) -> Properties:
        sns, topic = self._api["sns"], arn.rpartition(":")[0]
        found = (await sns.get_subscription_attributes(SubscriptionArn=arn))["Attributes"]
        listed = (await sns.list_subscriptions_by_topic(TopicArn=topic))["Subscriptions"]
        [subscription] = [one for one in listed if one["SubscriptionArn"] == arn]
        return {
            "TopicArn": subscription["TopicArn"],
            "Protocol": subscription["Protocol"],
            "Endpoint": subscription["Endpoint"],
            "RawMessageDelivery": found["RawMessageDelivery"] == "true",
        }

    # -- IAM and secrets

    async def _role(self, name: str, _: Properties) -> Properties:
        iam = self._api["iam"]
        role = (await iam.get_role(RoleName=name))["Role"]
        policies = []
        for policy in (await iam.list_role_policies(RoleName=name))["PolicyNames"]:
            document = (await iam.get_role_policy(RoleName=name, PolicyName=policy))["PolicyDocument"]
            policies.append({"PolicyName": policy, "PolicyDocument": document})
        attached = (await iam.list_attached_role_policies(RoleName=name))["AttachedPolicies"]
        return {
            "RoleName": name,
            "Description": role.get("Description"),
            "AssumeRolePolicyDocument": role["AssumeRolePolicyDocument"],
            "MaxSessionDuration": role.get("MaxSessionDuration"),
            "PermissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "Policies": policies or None,
            "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached] or None,
        }

    async def _instance_profile(self, arn: str, _: Properties) -> Properties:
        name = arn.rpartition("/")[2]  # on AWS it is the name already
        found = (await self._api["iam"].get_instance_profile(InstanceProfileName=name))["InstanceProfile"]
        return {"InstanceProfileName": name, "Roles": [role["RoleName"] for role in found["Roles"]]}

    async def _managed_policy(self, arn: str, _: Properties) -> Properties:
        iam = self._api["iam"]
        policy = (await iam.get_policy(PolicyArn=arn))["Policy"]
        version = (await iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"]))["PolicyVersion"]
        return {
            "ManagedPolicyName": policy["PolicyName"],
            "Description": policy.get("Description"),
            "Path": policy.get("Path"),
            "PolicyDocument": version["Document"],
        }

    async def _secret(self, arn: str, asked: Properties) -> Properties:
        secrets = self._api["secretsmanager"]
        found = await secrets.describe_secret(SecretId=arn)
        value = (await secrets.get_secret_value(SecretId=arn))["SecretString"]
        # How it was made is not kept; that it was made so is seen in what there is.
        how = asked.get("GenerateSecretString", {})
        key = how.get("GenerateStringKey")
        made = json.loads(value)[key] if key else value
        as_asked = len(made) == how.get("PasswordLength") and made.isalnum()
        return {
            "Name": found["Name"],
            "Description": found.get("Description"),
            "GenerateSecretString": how if as_asked else None,
        }

    # -- SES

    async def _configuration_set(self, name: str, _: Properties) -> Properties:
        found = await self._api["sesv2"].get_configuration_set(ConfigurationSetName=name)
        return {
            "Name": found["ConfigurationSetName"],
            "DeliveryOptions": found.get("DeliveryOptions"),
            "ReputationOptions": found.get("ReputationOptions"),
            "SuppressionOptions": found.get("SuppressionOptions"),
        }

    async def _event_destination(self, _: str, asked: Properties) -> Properties:
        name = asked["ConfigurationSetName"]
        answer = await self._api["sesv2"].get_configuration_set_event_destinations(ConfigurationSetName=name)
        [found] = answer["EventDestinations"]
        destination = {
            "Name": found["Name"],
            "Enabled": found["Enabled"],
            "MatchingEventTypes": [kind.lower() for kind in found["MatchingEventTypes"]],
            "SnsDestination": {"TopicARN": found["SnsDestination"]["TopicArn"]},
        }
        return {"ConfigurationSetName": name, "EventDestination": destination}

    async def _email_identity(self, name: str, _: Properties) -> Properties:
        found = await self._api["sesv2"].get_email_identity(EmailIdentity=name)
        dkim, mail_from = found["DkimAttributes"], found["MailFromAttributes"]
        length = dkim.get("NextSigningKeyLength")
        return {
            "EmailIdentity": name,
            "DkimAttributes": {"SigningEnabled": dkim["SigningEnabled"]},
            "DkimSigningAttributes": {"NextSigningKeyLength": length} if length else None,
            "MailFromAttributes": {
                "MailFromDomain": mail_from.get("MailFromDomain"),
                "BehaviorOnMxFailure": mail_from.get("BehaviorOnMxFailure"),
            },
            "FeedbackAttributes": {"EmailForwardingEnabled": found["FeedbackForwardingStatus"]},
            "ConfigurationSetAttributes": {"ConfigurationSetName": found.get("ConfigurationSetName")},
        }

    # -- Backup

    async def _backup_vault(self, name: str, _: Properties) -> Properties:
        found = await self._api["backup"].describe_backup_vault(BackupVaultName=name)
        least = found.get("MinRetentionDays")
        return {"BackupVaultName": name, "LockConfiguration": {"MinRetentionDays": least} if least else None}

    async def _backup_plan(self, number: str, _: Properties) -> Properties:
        plan = (await self._api["backup"].get_backup_plan(BackupPlanId=number))["BackupPlan"]
        rules = [
            {
                "RuleName": rule["RuleName"],
                "TargetBackupVault": rule["TargetBackupVaultName"],
                "ScheduleExpression": rule["ScheduleExpression"],
                "Lifecycle": rule["Lifecycle"],
            }
            for rule in plan["Rules"]
        ]
        return {"BackupPlan": {"BackupPlanName": plan["BackupPlanName"], "BackupPlanRule": rules}}


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _cors(rules: list[Properties]) -> list[Properties]:
    return [
        {
            "AllowedMethods": rule["AllowedMethods"],
            "AllowedOrigins": rule["AllowedOrigins"],
            "AllowedHeaders": rule["AllowedHeaders"],
            "ExposedHeaders": rule["ExposeHeaders"],
            "MaxAge": rule["MaxAgeSeconds"],
        }
        for rule in rules
    ]


def _lifecycle(rule: Properties) -> Properties:
    condition = rule.get("Filter", {})
    condition = condition.get("And", condition)

    def moves(kind: str, days: str) -> list[Properties] | None:
        found = rule.get(kind, [])
        return [{"StorageClass": one["StorageClass"], "TransitionInDays": one[days]} for one in found] or None

    read = {
        "Id": rule["ID"],
        "Status": rule["Status"],
        "Prefix": condition.get("Prefix") or None,
        "ObjectSizeGreaterThan": condition.get("ObjectSizeGreaterThan"),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "NoncurrentVersionExpiration": rule.get("NoncurrentVersionExpiration"),
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
        "Transitions": moves("Transitions", "Days"),
        "NoncurrentVersionTransitions": moves("NoncurrentVersionTransitions", "NoncurrentDays"),
    }
    return {name: value for name, value in read.items() if value is not None}


def _notifications(found: Properties) -> Properties:
    configurations = [
        {
            "Event": event,
            "Queue": one["QueueArn"],
            "Filter": {
                "S3Key": {
                    "Rules": [
                        {"Name": rule["Name"].lower(), "Value": rule["Value"]}
                        for rule in one["Filter"]["Key"]["FilterRules"]
                    ]
                }
            },
        }
        for one in found.get("QueueConfigurations", [])
        for event in one["Events"]
    ]
    bridge = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}} if "EventBridgeConfiguration" in found else {}
    return {"QueueConfigurations": configurations} | bridge


def _logging(found: Properties) -> Properties | None:
    enabled = found.get("LoggingEnabled")
    if enabled is None:
        return None
    return {"DestinationBucketName": enabled["TargetBucket"], "LogFilePrefix": enabled["TargetPrefix"]}

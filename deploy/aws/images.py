"""The repositories that the services' images are pushed to."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr

from deploy.aws.settings import Settings
from deploy.definition import SERVICES, Definition

IMAGES_KEPT = 50


class ImagesStack(cdk.Stack):
    """One repository per service: it is deployed first, so that there is something to push images to."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self.repositories = {
            service: ecr.Repository(
                self,
                service,
                repository_name=definition.names.repository(service),
                image_scan_on_push=True,
                # An image is deployed by its digest, and what was deployed once can be found by its tag.
                image_tag_mutability=ecr.TagMutability.IMMUTABLE,
                encryption=ecr.RepositoryEncryption.AES_256,
                lifecycle_rules=[ecr.LifecycleRule(max_image_count=IMAGES_KEPT)],
                removal_policy=cdk.RemovalPolicy.RETAIN if settings.production else cdk.RemovalPolicy.DESTROY,
                empty_on_delete=not settings.production,
            )
            for service in SERVICES
        }

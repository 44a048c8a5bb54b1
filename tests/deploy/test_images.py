"""The repositories of images."""

from __future__ import annotations

from deploy.definition import SERVICES
from tests.deploy.conftest import Synthesis


def test_each_service_has_a_repository_whose_tags_stay(synthesis: Synthesis):
    names = synthesis.settings.definition().names
    found = {
        one["Properties"]["RepositoryName"]: one
        for one in synthesis.resources("images", "AWS::ECR::Repository").values()
    }
    assert set(found) == {names.repository(service) for service in SERVICES}
    for one in found.values():
        assert one["Properties"]["ImageTagMutability"] == "IMMUTABLE"
        assert one["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert one["Properties"]["LifecyclePolicy"]
        # What production ran can be deployed again, whatever happens to the stack.
        assert one["DeletionPolicy"] == ("Retain" if synthesis.settings.production else "Delete")

"""Redis: by TLS and with a password; in production another node takes over."""

from __future__ import annotations

from tests.deploy.conftest import Synthesis


def test_redis_is_encrypted_and_asks_for_a_password_that_no_template_holds(synthesis: Synthesis):
    [group] = synthesis.resources("cache", "AWS::ElastiCache::ReplicationGroup").values()
    properties = group["Properties"]
    assert properties["TransitEncryptionEnabled"] is True
    assert properties["AtRestEncryptionEnabled"] is True
    assert "{{resolve:secretsmanager:" in str(properties["AuthToken"])
    [secret] = synthesis.resources("cache", "AWS::SecretsManager::Secret").values()
    made = secret["Properties"]["GenerateSecretString"]
    assert made["PasswordLength"] >= 32
    assert made["ExcludePunctuation"] is True


def test_production_outlives_a_zone_and_the_trial_has_one_node(trial: Synthesis, production: Synthesis):
    for synthesis, nodes, failover in ((trial, 1, False), (production, 3, True)):
        [group] = synthesis.resources("cache", "AWS::ElastiCache::ReplicationGroup").values()
        properties = group["Properties"]
        assert properties["NumCacheClusters"] == nodes
        assert properties["AutomaticFailoverEnabled"] is failover
        assert properties["MultiAZEnabled"] is failover

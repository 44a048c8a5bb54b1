"""What an instance does at its first start: install Docker, write units for systemd, run one service's image.

The service runs read-only, without privileges, on the instance's own network: so instance metadata need not be
reachable through a hop. No secret is in here; `instance/agent.py` fetches them at each start of the service. What the
agent says goes to the console, which EC2 shows of instances that never got as far as a log.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.aws.settings import Settings
from deploy.definition import Definition
from deploy.permissions import SIGNING_KEYS
from syncline.serving.life import DRAIN_S_MAX, STOP_S_MAX

AGENT = Path(__file__).with_name("instance") / "agent.py"
# What each service listens on, inside the network only.
PORT = 8080
# The user of deploy/Dockerfile.
USER_ID = 10001
SECRETS_FILE = "/run/syncline/secrets.json"
METADATA_URL = "http://169.254.169.254"
# The load balancer's health check and its configuration take a few seconds to send nobody here any more.
DEREGISTERING_S = 20
LAUNCHING_HOOK = "until-ready"
TERMINATING_HOOK = "until-drained"
PROCESSES_MAX = 512
FILES_MAX = 65_536
LOG_BUFFER = "8m"


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance of `service`. `redis_address` is host:port, and may be a token of the CDK."""

    settings: Settings
    definition: Definition
    service: str
    redis_address: str
    served: bool

    @property
    def image(self) -> str:
        """Raises KeyError when the settings have no image of the service."""
        registry = f"{self.settings.account}.dkr.ecr.{self.settings.region}.amazonaws.com"
        repository = self.definition.names.repository(self.service)
        return f"{registry}/{repository}@{self.settings.images[self.service]}"

    def environment(self) -> dict[str, str]:
        """The variables of the service (docs/operations.md)."""
        names = self.definition.names
        return {
            "AWS_DEFAULT_REGION": names.region,
            "SYNCLINE_STACK": names.stack,
            "SYNCLINE_BUCKET": names.bucket,
            "SYNCLINE_CHANGES_TOPIC_ARN": names.topic_arn,
            "SYNCLINE_CLIENT_ROLE_ARN": names.client_role_arn,
            "SYNCLINE_REDIS_URL": f"rediss://{self.redis_address}/0",
            "SYNCLINE_LISTEN": f"0.0.0.0:{PORT}" if self.served else f"127.0.0.1:{PORT}",
            "SYNCLINE_PUBLIC_URL": self.settings.public_url,
            "SYNCLINE_SECRETS": SECRETS_FILE,
            "SYNCLINE_MAIL_FROM": self.definition.mail_from,
            "SYNCLINE_MAIL_CONFIGURATION_SET": names.mail_configuration_set,
            "SYNCLINE_MAIL_TOPIC_ARN": names.mail_topic_arn,
            **self.settings.service_settings,
        }

    def agent_settings(self) -> dict[str, Any]:
        """What `instance/agent.py` reads."""
        names = self.definition.names
        return {
            "group": names.identity(self.service),
            "image": self.image,
            "signing_keys": {kind: names.secret(kind) for kind in SIGNING_KEYS[self.service]},
            "redis_secret": names.redis_secret,
            "secrets_file": SECRETS_FILE,
            "user_id": USER_ID,
            "port": PORT,
            "launching_hook": LAUNCHING_HOOK,
            "terminating_hook": TERMINATING_HOOK,
            "deregistering_s": DEREGISTERING_S if self.served else 0,
            "metadata_url": METADATA_URL,
        }

    def user_data(self) -> str:
        """The script that cloud-init runs as root."""
        environment = "".join(f"{name}={value}\n" for name, value in self.environment().items())
        files = {
            "/etc/syncline/service.env": environment,
            "/etc/syncline/instance.json": json.dumps(self.agent_settings(), indent=1) + "\n",
            "/etc/syncline/docker/config.json": json.dumps({"credsStore": "ecr-login"}) + "\n",
            "/etc/systemd/system/syncline.service": self._service_unit(),
            "/etc/systemd/system/syncline-agent.service": _agent_unit(self.settings.region),
        }
        agent = base64.b64encode(gzip.compress(AGENT.read_bytes(), mtime=0)).decode()
        return "\n".join(
            [
                "#!/bin/bash",
                "set -euo pipefail",
                "dnf install -y -q docker amazon-ecr-credential-helper",
                "install -d /etc/syncline/docker /usr/local/lib/syncline",
                f"base64 -d <<'END' | gunzip >/usr/local/lib/syncline/agent.py\n{agent}\nEND",
                *(f"cat >{path} <<'END'\n{content}END" for path, content in files.items()),
                "systemctl daemon-reload",
                "systemctl enable --now docker.service syncline-agent.service",
                "systemctl enable --now --no-block syncline.service",
                "",
            ]
        )

    def _service_unit(self) -> str:
        names, drain_s = self.definition.names, round(DRAIN_S_MAX + STOP_S_MAX)
        options = (
            "--name syncline --rm --network host --read-only --tmpfs /tmp:rw,noexec,nosuid,nodev,size=64m",
            f"--user {USER_ID}:{USER_ID} --cap-drop ALL --security-opt no-new-privileges",
            f"--pids-limit {PROCESSES_MAX} --ulimit nofile={FILES_MAX}:{FILES_MAX}",
            "--env-file /etc/syncline/service.env --volume /run/syncline:/run/syncline:ro",
            f"--log-driver awslogs --log-opt awslogs-region={names.region}",
            f"--log-opt awslogs-group={names.log_group(self.service)} --log-opt awslogs-stream=%H",
            f"--log-opt mode=non-blocking --log-opt max-buffer-size={LOG_BUFFER}",
        )
        run = " \\\n  ".join(("/usr/bin/docker run", *options, self.image))
        return f"""[Unit]
Description=Syncline {self.service}
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
{_AGENT_ENVIRONMENT.format(region=names.region)}
ExecStartPre=/bin/sh -c "exec /usr/bin/python3 /usr/local/lib/syncline/agent.py prepare >/dev/console 2>&1"
ExecStartPre=-/usr/bin/docker rm --force syncline
ExecStart={run}
ExecStop=/usr/bin/docker stop -t {drain_s} syncline
Restart=always
RestartSec=2
TimeoutStartSec=300
TimeoutStopSec={drain_s + 15}

[Install]
WantedBy=multi-user.target
"""


_AGENT_ENVIRONMENT = """Environment=SYNCLINE_INSTANCE=/etc/syncline/instance.json HOME=/root
Environment=DOCKER_CONFIG=/etc/syncline/docker AWS_DEFAULT_REGION={region}"""


def _agent_unit(region: str) -> str:
    return f"""[Unit]
Description=Looks after Syncline's service for the Auto Scaling group
After=network-online.target
Wants=network-online.target

[Service]
{_AGENT_ENVIRONMENT.format(region=region)}
ExecStart=/usr/bin/python3 /usr/local/lib/syncline/agent.py watch
StandardOutput=journal+console
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""

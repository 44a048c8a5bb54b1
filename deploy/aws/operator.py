"""What `syncline-admin` needs to look after a deployment on AWS, written into a folder of the operator's.

    python -m deploy.aws.operator my.toml ~/.syncline-admin

`admin.env` is for a shell to source, `secrets.json` holds the keys of permits. Needs the AWS CLI, and credentials of
the role `STACK-admin`.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from deploy.aws.instance.agent import Failed, signing_keys, write_secrets
from deploy.aws.settings import Settings, Unusable, read

PERMIT_KEYS = "permit_keys"


def environment(settings: Settings, secrets_file: Path) -> dict[str, str]:
    """The variables of `syncline-admin`. Without Redis, which is reached from its own network only."""
    names = settings.definition().names
    return {
        "AWS_DEFAULT_REGION": names.region,
        "SYNCLINE_STACK": names.stack,
        "SYNCLINE_BUCKET": names.bucket,
        "SYNCLINE_CHANGES_TOPIC_ARN": names.topic_arn,
        "SYNCLINE_PUBLIC_URL": settings.public_url,
        "SYNCLINE_SECRETS": str(secrets_file),
    }


def write(settings: Settings, folder: Path) -> None:
    """Write both files, for their owner only. Raises Failed with what the AWS CLI complained of."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets_file = folder.absolute() / "secrets.json"
    os.environ["AWS_DEFAULT_REGION"] = settings.region
    keys = signing_keys(settings.definition().names.secret(PERMIT_KEYS))
    write_secrets(secrets_file, {PERMIT_KEYS: keys}, os.getuid())
    variables = environment(settings, secrets_file)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    (folder / "admin.env").write_text("".join(lines))


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        sys.exit(__doc__)
    try:
        write(read(Path(arguments[0])), Path(arguments[1]))
    except (Unusable, Failed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])

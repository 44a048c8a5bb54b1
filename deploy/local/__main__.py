"""`python -m deploy.local`: run an embedded stack, with or without the demo."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from deploy.local.demo import Demo
from deploy.local.lock import CannotStart
from deploy.local.logs import Console
from deploy.local.place import PORT_DEFAULT, PORTS, Place, Ports
from deploy.local.stack import Stack
from deploy.local.supervisor import Supervisor

_ABOUT = """\
Run Syncline on this machine, with nothing else installed: a local AWS that enforces signatures and
policies, Valkey, the gateway, metadata, syncer and notifier services, and one address for them all.

  stack   starts everything and prints where it is
  run     the same, and a demo: alice and bob share a library and keep a folder each in sync

Ctrl-C stops everything. All data stays in --data and is found again by the next start."""

_EXAMPLES = """\
examples:
  python -m deploy.local run                     http://127.0.0.1:8080, data in ./demo
  python -m deploy.local stack --port 9000 -q    ports 9000 to 9006, warnings only"""


def main() -> int:
    """Run the stack until it is stopped; the exit status."""
    options = _parser().parse_args()
    place = Place(options.data.resolve(), Ports.starting_at(options.port))
    console = Console(options.quiet, options.verbose)
    stack = Stack(place, console, dict(options.set))
    console.say(f"Starting Syncline at {place.url}, data in {place.data} …")

    async def when_ready(supervisor: Supervisor) -> None:
        if options.what == "run":
            await Demo(place, console).start(supervisor)
        else:
            console.say(stack_summary(place))

    try:
        asyncio.run(stack.run(when_ready))
    except CannotStart as error:
        print(f"syncline: {error}", file=sys.stderr)
        return 1
    console.say("Stopped; everything is kept.")
    return 0


def stack_summary(place: Place) -> str:
    """What a person needs to know of a stack that is up."""
    return "\n".join(
        (
            "",
            f"Syncline is up at {place.url}",
            f"  mail   {place.mail}/*.eml",
            f"  logs   {place.logs}/*.log",
            f"  S3     {place.aws_url}",
            f"  try    SYNCLINE_SERVER={place.url} syncline register you@example.com",
            "Ctrl-C stops it.",
            "",
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("stack", "run"), help="with the demo (run) or without it (stack)")
    parser.add_argument(
        "--data", type=Path, default=Path("demo"), help="folder of all data, logs and mail (default: demo)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT_DEFAULT,
        help=f"first of {len(PORTS)} ports, the address of everything (default: {PORT_DEFAULT})",
    )
    parser.add_argument(
        "--set",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a variable of the services, such as SYNCLINE_LOG_LEVEL=debug",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument("-v", "--verbose", action="store_true", help="print a line for each request and pulse, too")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 1024 <= port <= 65535 - len(PORTS):
        raise argparse.ArgumentTypeError(f"a port from 1024 to {65535 - len(PORTS)}")
    return port


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not given or not name.startswith(("SYNCLINE_", "OTEL_")):
        raise argparse.ArgumentTypeError("SYNCLINE_NAME=VALUE or OTEL_NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())

"""Passwords from the environment or the terminal; never from the command line, which others can see."""

from __future__ import annotations

import os
import sys

import click

PASSWORD_VARIABLE = "SYNCLINE_PASSWORD"
NEW_PASSWORD_VARIABLE = "SYNCLINE_NEW_PASSWORD"
PASSWORD_CHARACTERS_MIN = 8


def asked_password(*, confirm: bool) -> str:
    """The password of the account; with ``confirm`` one that is set now, asked for twice."""
    return _asked(PASSWORD_VARIABLE, "Password", confirm=confirm)


def asked_new_password() -> str:
    """A password to take the place of another one."""
    return _asked(NEW_PASSWORD_VARIABLE, "New password", confirm=True)


def _asked(variable: str, prompt: str, *, confirm: bool) -> str:
    password = os.environ.get(variable, "")
    if not password:
        try:
            password = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise click.UsageError(f"There is no terminal to ask for the password on; set {variable}.") from None
    if confirm and len(password) < PASSWORD_CHARACTERS_MIN:
        raise click.UsageError(f"A password needs at least {PASSWORD_CHARACTERS_MIN} characters.")
    return password

"""What people type as names and addresses; the rules are those of whoever stores them."""

from __future__ import annotations

from syncline.store.titles import clean_email, clean_title

__all__ = ["clean_email", "clean_title"]

"""Tells followers by mail what changed."""

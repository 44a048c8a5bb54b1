"""Tests, one folder per tier."""

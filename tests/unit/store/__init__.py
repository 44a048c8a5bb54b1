"""Tests of syncline/store."""

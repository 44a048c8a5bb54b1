"""Tests of services/metadata."""

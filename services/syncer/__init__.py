"""Tells clients what they lack."""

"""Protocols that state what a caller may rely on."""

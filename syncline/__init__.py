"""Syncline: file sharing and synchronisation in your own AWS account."""

__version__ = "0.1.0"

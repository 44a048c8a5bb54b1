"""The HTTP front: accounts, libraries, permits, commits, downloads."""

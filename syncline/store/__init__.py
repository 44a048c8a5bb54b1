"""Journal, views and outcomes, written against the ports."""

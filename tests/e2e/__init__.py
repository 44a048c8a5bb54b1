"""Real processes on the embedded stack."""

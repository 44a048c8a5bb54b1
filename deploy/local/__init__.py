"""The embedded stack: everything on one machine, in one go."""

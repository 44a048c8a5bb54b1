"""The ports in process, for tests and simulation."""

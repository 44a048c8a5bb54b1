"""The whole system in virtual time, with seeded faults."""

"""The embedded stack: a local AWS, Valkey and the four services on this machine, under one supervisor."""

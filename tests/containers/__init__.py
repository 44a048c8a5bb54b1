"""The image and the stack of containers, tested with a Docker engine."""

"""The `syncline` command."""

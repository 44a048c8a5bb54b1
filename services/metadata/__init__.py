"""The only writer of the journal."""

"""The sync client: scanner, index, planner, executor, transfer."""

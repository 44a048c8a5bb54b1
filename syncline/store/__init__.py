"""Row layouts and typed stores over the ports: journal, views, directory, grants, follows, checkpoints."""

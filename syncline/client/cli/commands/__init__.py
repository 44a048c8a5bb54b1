"""The commands, a module per family; app.py lists them."""

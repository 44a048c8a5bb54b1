"""The monthly bill of a stack: list prices, and the calls that the code makes."""

"""Where Syncline runs: the definition of its AWS resources, and the places that use it."""

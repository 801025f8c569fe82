"""One picture, looked at interactively: boxes, maps of methods, and scores of masked copies."""

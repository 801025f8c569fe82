"""Many machines and processes on one run: sources as tasks of a Ray cluster."""

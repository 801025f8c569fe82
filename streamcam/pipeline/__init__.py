"""Lanes, workers, sampler, batcher, and the wiring of one run."""

"""The only room that knows torch: models, weights, the detector, EigenCAM, the engine."""

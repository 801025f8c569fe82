"""Events: tracks that pass a rule, from their first frame to their last."""

"""Results as data sets of labelling tools and tables."""

"""A report over results: what was found when, how focused, and what is worth a look."""

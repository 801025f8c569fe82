"""Why this box got this label: maps that have a target, unlike EigenCAM's."""

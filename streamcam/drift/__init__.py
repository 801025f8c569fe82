"""A learned baseline of a camera or folder, and when today differs from it."""

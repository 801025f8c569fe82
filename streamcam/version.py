"""The version, on the ground floor so that every room may write it down."""

__version__ = "0.1.0"

"""Continuous recording of live sources in segments."""

"""Detector families: the `Network` protocol, their registry and weights."""

"""Cameras: any number of live sources on one engine, for months."""

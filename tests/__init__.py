"""Tests of streamcam."""

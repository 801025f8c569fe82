"""Quantizing a detector to int8 on a user's own footage: `streamcam models quantize`."""

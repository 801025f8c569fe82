"""Detectors in ONNX files: reading them, finding their feature maps, decoding their outputs."""

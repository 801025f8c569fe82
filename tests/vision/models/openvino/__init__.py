# Before OpenVINO itself, so that that reports nothing to its makers.
import streamcam.vision.models.openvino  # noqa: F401

"""Where frames come in: files and pictures, and `live` for cameras and streams."""

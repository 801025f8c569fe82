"""Where frames come in: files, pictures, and the demo scene. The only readers of media."""

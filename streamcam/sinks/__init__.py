"""Where results leave: annotated videos and pictures, JSON lines, manifests."""

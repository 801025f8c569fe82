"""Where results go: records, videos, stills, maps, manifests, previews, publishing."""

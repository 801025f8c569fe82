"""The class activation map: components, geometry, stabilisation, focus."""

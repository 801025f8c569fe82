"""Optional speed on CPUs; nothing else depends on how it works."""

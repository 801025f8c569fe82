"""What runs for months: the supervisor, its health and metrics, and the live page."""

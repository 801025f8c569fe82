"""What keeps streamcam at work for months: the supervisor, its health, the live page."""

"""From source to sinks: queues, batching, inference and the work on one file."""

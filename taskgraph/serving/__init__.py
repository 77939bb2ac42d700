"""What a worker does: it takes what others have written down for its queues, and runs it."""

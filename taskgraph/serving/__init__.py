"""Workers: a supervisor that lives long, and slots that run what was submitted to its queues."""

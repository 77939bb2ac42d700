"""Routing on a database: executions wait in queues, and workers take them; see decision 31."""

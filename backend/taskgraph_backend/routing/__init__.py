"""Routing on a database: executions and calls wait in queues, and workers take them."""

"""Control flow as scheduler tasks: they need no engine to be written or tested."""

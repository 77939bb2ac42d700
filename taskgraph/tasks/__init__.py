"""Tasks: options, names, the registry and the decorators that fill it."""

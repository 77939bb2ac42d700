"""What of a function counts: its code in parts, each of them recorded by its hash."""

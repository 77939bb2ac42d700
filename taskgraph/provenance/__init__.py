"""Reading what was recorded: what was run, and where values and files came from."""

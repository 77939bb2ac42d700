"""The command line: one file for each command, and nothing that another room could not do."""

"""Where users' code runs: inline, threads, processes. Each knows the port and nothing else."""

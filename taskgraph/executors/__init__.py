"""Where users' code runs: inline, threads, processes, Dask. Each knows the port and no other."""

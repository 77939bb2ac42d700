"""Puts the parts together: from settings to executors, folders, the project and its database.

Of ``taskgraph_backend`` only this, `taskgraph.app`, and the doors to records know anything:
`taskgraph.archive`, `taskgraph.exchange` and `taskgraph.upkeep`.
"""

"""What people manage, as rows: executions with their states, and studies.

Who only writes (`creating`, `changing`, `history`, `recorded`) speaks to the driver, so that a run
can do it without SQLAlchemy; who lists is in rooms of its own.
"""

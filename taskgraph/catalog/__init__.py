"""What people manage: executions with their states, studies; plain data and rules, no SQL."""

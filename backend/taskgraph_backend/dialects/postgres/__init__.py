"""PostgreSQL, for teams: the same SQL and the same rows, over psycopg."""

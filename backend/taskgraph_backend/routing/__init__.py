"""What goes to workers, and waits for them in the database."""

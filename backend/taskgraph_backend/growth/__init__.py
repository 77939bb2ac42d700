"""What the records take up, and how it is given back: by one notion of what is still needed."""

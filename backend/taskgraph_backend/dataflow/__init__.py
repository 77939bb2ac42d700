"""Where values came from, and what was made of them: the edges, in words, and as data."""

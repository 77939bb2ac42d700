"""Results that are not to be used any more: what came from them, marks, and taking them back."""

"""Values: how each type is hashed, stored, shown, checked and searched for subvalues."""

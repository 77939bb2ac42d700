"""The workshop: reduces expressions to values. One thread; no SQL, no pools."""

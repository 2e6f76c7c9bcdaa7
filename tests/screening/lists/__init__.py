"""One file of tests a publisher."""

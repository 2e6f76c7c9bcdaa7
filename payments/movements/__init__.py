"""Every movement beyond the plain transfer and deposit: one file per kind, each decides purely and returns a deed."""

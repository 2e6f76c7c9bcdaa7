"""What was asked for, read from payments.commands itself, and what has to have been decided about it."""

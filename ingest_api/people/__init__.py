"""People as the source documents show them: users, the bank accounts that they have linked, how these are proved."""

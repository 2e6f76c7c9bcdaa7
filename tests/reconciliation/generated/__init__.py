"""Settlement files made of payments, and what is found in them."""

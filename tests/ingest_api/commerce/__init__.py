"""Commerce over HTTP: bodies, orders, and the way of a checkout."""

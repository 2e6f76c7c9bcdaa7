"""Public events as rows, and the deliveries that are queued for them."""

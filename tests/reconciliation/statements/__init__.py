"""Files of banks and providers: what is read, what is refused, and why."""

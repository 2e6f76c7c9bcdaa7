"""Instructions on their way: sent, waited for, answered. Every noun beyond plain transfers uses these."""

"""The examples of consumers and producers, against a whole installation."""

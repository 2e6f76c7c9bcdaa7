"""Banks that are called over their own API: who is registered, and money to and from accounts there."""

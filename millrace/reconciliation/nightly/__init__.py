"""The plan carried out by processes of their own, and the alarm that watches them."""

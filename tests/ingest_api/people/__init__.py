"""Users and their linked bank accounts."""

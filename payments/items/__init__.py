"""What an entry carries and a book keeps beyond balances: details of entries, open items, profiles."""

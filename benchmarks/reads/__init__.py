"""Lists and balances over tables of ten million rows."""

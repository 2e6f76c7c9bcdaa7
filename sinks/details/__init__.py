"""What the details of entries become: rows of causes and item_events, tables of open items, effects on balances."""

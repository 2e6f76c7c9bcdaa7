"""What stages agree on that meet in a table: one writes its rows, another one answers them."""

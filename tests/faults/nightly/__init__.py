"""Every scenario under many seeds, every guard taken out once, and the report of it."""

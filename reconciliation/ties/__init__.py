"""What a bank says twice: the sums of a report against the single payments of its notification, day by day."""

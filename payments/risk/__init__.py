"""Risk: is a payment within its limits, and do the operator's rules let it pass? `assess` reads, `evolve` keeps."""

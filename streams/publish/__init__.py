"""publish: the packed ledger, fanned out into one public event per change, off the deciding path."""

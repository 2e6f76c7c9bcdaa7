"""Money that moves outside: a journal with one participant more, the provider. Checkouts, their refunds, payouts."""

"""A Stripe-shaped provider for the local machine: forgets nothing, charges nobody, breaks where told to."""

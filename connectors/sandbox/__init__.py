"""A Stripe-shaped provider for the local machine: it forgets nothing, charges nobody, and breaks where it is told to."""

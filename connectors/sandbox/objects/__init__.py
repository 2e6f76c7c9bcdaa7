"""What a Stripe account has: payment intents and charges, refunds, payouts, disputes, the balance, events."""

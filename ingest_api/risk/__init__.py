"""Risk over HTTP: what is known of how a payment was asked for."""

"""payments.quarantine → the table quarantine: what operators list, inspect, redrive and discard."""

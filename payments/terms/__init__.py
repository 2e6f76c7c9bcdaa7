"""The terms of a transfer: what it costs, who gets which part, at which rate it is converted, and when it is due."""

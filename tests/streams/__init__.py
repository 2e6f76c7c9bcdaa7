"""The agents and their state, driven in-process: every record that would go through Kafka goes through `World`."""

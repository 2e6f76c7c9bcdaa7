"""nginx in front of the API processes: its configuration, made from the settings and the registry, and its process."""

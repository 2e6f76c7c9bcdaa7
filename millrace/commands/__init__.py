"""What each sub-command of `millrace` does: read the settings, call the environment, print for people or machines."""

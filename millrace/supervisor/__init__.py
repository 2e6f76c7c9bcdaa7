"""One parent process that owns an environment's servers and services, restarts what exits and stops all in order."""

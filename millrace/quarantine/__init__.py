"""What was set aside: the commands for it, and the alarm while it waits."""

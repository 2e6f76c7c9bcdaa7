"""The commands about scheduled transfers: the process that sends what is due, and a look at the schedules."""

"""The command line and its processes without a server: plans, alarms, what is printed, topics that fit."""

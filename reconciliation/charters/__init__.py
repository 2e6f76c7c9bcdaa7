"""Rules in the form of OpenRec charters (YAML and Lua): read, checked and run as they are."""

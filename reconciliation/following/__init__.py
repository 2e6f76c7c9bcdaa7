"""Stream-time: lines come one by one, in any order, and breaks open and close as they come."""

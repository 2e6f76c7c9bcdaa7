"""The night by itself: files from a folder, runs at their time, reports, and an alarm for what does not come."""

"""Whether a name is the name of somebody on a sanctions list: names in, scores with their reasons out."""

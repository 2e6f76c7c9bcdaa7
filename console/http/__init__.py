"""What stands between a browser and a page: the cookie, who it is, what forms bring, and what every answer tells."""

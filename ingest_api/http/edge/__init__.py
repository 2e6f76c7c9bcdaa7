"""Before anybody knows who calls: connections, heads, origins of web pages, and what every answer tells browsers."""

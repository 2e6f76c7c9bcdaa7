"""What a call carries and what an answer looks like: bodies, headers, resources, the hot route, OpenAPI."""

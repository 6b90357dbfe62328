"""A thin HTTP/1.1 client for the path of a request: bounded, pooled, without a task or a timer of its own."""

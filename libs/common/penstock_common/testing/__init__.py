"""Servers, upstreams and clocks for tests; production code never imports this."""

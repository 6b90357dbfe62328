"""The inference service: runs a plan against upstreams and yields one clean stream."""

"""Many requests while everything fails: replicas of the suite on one Redis and one database, over upstreams that are scripted."""

"""What is known of upstreams from the traffic they get: who is out, who cools down, who is slow, and who may be asked again."""

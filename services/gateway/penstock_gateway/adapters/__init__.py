"""What the gateway reaches outside its own process."""

"""The other services of the suite, as the gateway\x27s domain knows them."""

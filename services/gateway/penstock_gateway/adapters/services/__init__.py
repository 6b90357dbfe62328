"""The other services of the suite, as the domain of the gateway knows them."""

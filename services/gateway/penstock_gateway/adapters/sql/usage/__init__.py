"""Reports of the ledger, in SQL."""

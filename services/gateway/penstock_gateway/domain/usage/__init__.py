"""What was used, by whom, of what, and when: sums over the ledger, and its single rows."""

"""The ledger as a book: corrections, totals, prices and drift."""

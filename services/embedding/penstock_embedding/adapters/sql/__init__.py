"""Documents in SQL: what there is, and what waits; vectors are an index of it."""

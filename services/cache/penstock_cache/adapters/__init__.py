"""The outside things that the cache uses: Redis, and the cipher of what lies in it."""

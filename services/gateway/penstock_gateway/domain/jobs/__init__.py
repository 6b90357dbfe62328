"""Requests that are accepted now and answered later: kept in SQL, run by workers, each with one result."""

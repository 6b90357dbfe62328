"""Flights that the processes of the suite share, over Redis."""

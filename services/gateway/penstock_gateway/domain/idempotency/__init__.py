"""Requests that are sent again under the same key: done once, answered each time."""

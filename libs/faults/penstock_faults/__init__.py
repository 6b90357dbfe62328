"""Upstreams and networks that fail as they are told, and the table of what must happen then. Imports nothing of ours."""

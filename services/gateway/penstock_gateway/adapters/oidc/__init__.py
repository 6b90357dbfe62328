"""Tokens of OpenID Connect issuers: their public keys, and what those have signed."""

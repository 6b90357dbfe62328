"""Configurations of other gateways, said in Penstock's words."""

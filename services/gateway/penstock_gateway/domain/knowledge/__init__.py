"""Documents, as the gateway's callers see them: under their tenant, and by the labels of their key."""

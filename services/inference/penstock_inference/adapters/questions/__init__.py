"""Questions that are no conversation, over HTTP: documents to rank, contents to judge."""

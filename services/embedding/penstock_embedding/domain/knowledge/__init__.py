"""Knowledge bases, their documents and the versions of their indexes."""

"""Models on Google Cloud (Vertex AI), asked with Google's credentials."""

"""OpenAI's wire formats, byte for byte: bytes in, bytes out, no I/O. Each has a folder; what they share lies here."""

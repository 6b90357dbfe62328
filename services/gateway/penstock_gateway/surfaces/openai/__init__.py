"""OpenAI's chat-completions wire format, byte for byte: bytes in, bytes out, no I/O."""

"""The life of a request: from an authenticated caller to a settled bill. Read `chat.py` first."""

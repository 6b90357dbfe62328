"""What kind of image some bytes are: what they say themselves counts more than what somebody calls them."""

from __future__ import annotations

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What vision models take (OpenAI, Anthropic and Gemini agree on these)."""

# Names that are in use and were never registered, or are registered for the same.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/jpe": "image/jpeg",
    "image/jfif": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/x-webp": "image/webp",
    "image/x-gif": "image/gif",
}
_BEGINNINGS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_RIFF_HEAD_BYTES = 12


def image_type_in(data: bytes) -> str:
    """Return the media type that an image's first bytes tell; '' where they tell none of ``IMAGE_TYPES``."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    head = data[:_RIFF_HEAD_BYTES]
    return "image/webp" if head.startswith(b"RIFF") and head.endswith(b"WEBP") else ""


def image_type(data: bytes, called: str) -> str:
    """Return an image's media type: as its bytes tell, else as it is called, by the registered name."""
    called = called.lower()
    return image_type_in(data) or _ALIASES.get(called, called)

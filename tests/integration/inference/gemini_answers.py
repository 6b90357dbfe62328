"""Answers in Gemini's format, for tests."""

import json

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 12}


def chunk(text=None, usage=None, **more):
    """Return a response with this text; ``usage`` beside the usual counts, ``more`` are members of the candidate."""
    content = {} if text is None else {"content": {"role": "model", "parts": [{"text": text}]}}
    return {"candidates": [{**content, "index": 0, **more}], "usageMetadata": {**USAGE, **(usage or {})}}


def sse(*chunks):
    """Return events that hold these."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in chunks)


def whole(*more):
    """Return a whole answer, ``Hi`` after a thought."""
    parts = [{"text": "Hm.", "thought": True}, {"text": "Hi"}, *more]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    return json.dumps({"candidates": [candidate], "usageMetadata": USAGE}, indent=2).encode()


HI = sse({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Hi"}]}}]})
STOP = sse(chunk(finishReason="STOP"))

"""Values that have broken programs before, and those that Hypothesis finds."""

from __future__ import annotations

from hypothesis import strategies as st

_NASTY_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "é", "e\u0301", "\u202e", "𝕏", "ﬀ", "İ", "\r\n", "\n", "\t",
    "null", "true", "0", "-1", "NaN", "1e999", "{}", "[]", '"', "\\", "%s%n", "%00", "../../etc/passwd", "${HOME}", "{0}",
    "' OR 1=1 --", "<script>", "data:image/png;base64,", "data:image/png;base64,iVBORw0KGgo", "data:,", "http://", "file:///",
    "http://[::1", "psk_", "Bearer ", "x" * 300, "x" * 70_000, "🜁" * 500, "fast", "vectors", "ROLE_USER", "user",
)  # fmt: skip
# By their places: Hypothesis would write all of them down wherever it names a strategy.
_PLACES = st.integers(0, len(_NASTY_TEXTS) - 1)
TEXTS = st.one_of(_PLACES.map(_NASTY_TEXTS.__getitem__), st.text(max_size=24))

INTEGERS = st.one_of(
    st.sampled_from((0, 1, -1, 2, 128, 255, 256, 65_536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**63 - 1, 2**63)),
    st.sampled_from((-(2**63), 2**64 - 1, 2**64, 10**18, 10**30, -(10**30))),
    st.integers(-200, 5000),
)
FLOATS = st.one_of(st.sampled_from((0.0, -0.0, 1.0, 2.0, 0.5, 1e-320, 1e308, -1e308)), st.floats())
DATA = st.one_of(
    st.sampled_from((b"", b"\x00", b"\xff\xfe", b"{}", b"\x89PNG\r\n\x1a\n", b"x" * 3000)), st.binary(max_size=40)
)

_FIELD_TEXTS = (
    "", " ", "0", "-1", "1", "0s", "1ms", "5s", "1h", "9999999999999999999s", "0.0000001s", "1e9", "nan", "auto", "*/*",
    "application/json", "application/json; charset=utf-16", "application/grpc", "application/grpc+json", "text/plain",
    "multipart/form-data; boundary=x", "text/event-stream", "gzip", "deflate", "br", "identity", "gzip, gzip", "no-store",
    "only-if-cached", "max-age=-1", "max-age=99999999999999999999", "ttl=0", "ttl=1e9", "critical", "sheddable",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", "ff-" + "f" * 32 + "-" + "f" * 16 + "-01",
    "a=b,c=d", "bytes=0-", "100-continue", "keep-alive", "close", "upgrade", "h2c", "x" * 200, "x" * 5000, "é", "[]", "\t",
    "127.0.0.1", "for=1.2.3.4", "Basic eDp5", "Bearer", "Bearer psk_x", "Bearer  ", "bearer key",
)  # fmt: skip
FIELD_VALUES = st.one_of(
    st.sampled_from(_FIELD_TEXTS).map(lambda text: text.encode("latin-1")),
    # What a field may hold, RFC 9110, 5.5; other bytes are no request.
    st.binary(max_size=24).map(
        lambda value: bytes(byte for byte in value if byte in b"\t" or (byte >= 32 and byte != 127))
    ),
)
FIELD_NAMES = st.one_of(
    st.sampled_from(
        (
            b"accept", b"api-key", b"authorization", b"baggage", b"content-encoding", b"content-type", b"cookie", b"expect",
            b"forwarded", b"idempotency-key", b"if-match", b"openai-beta", b"openai-organization", b"origin", b"range",
            b"traceparent", b"tracestate", b"user-agent", b"x-api-key", b"x-forwarded-for", b"x-penstock-cache",
            b"x-penstock-client-address", b"x-penstock-edge-token", b"x-penstock-priority", b"x-penstock-refused",
            b"x-penstock-timeout", b"x-request-id", b"x-stainless-read-timeout", b"x-stainless-retry-count",
            b"grpc-timeout", b"grpc-encoding", b"grpc-metadata-x", b"access-control-request-method", b"te",
        )
    ),
    st.from_regex(rb"[a-z][a-z0-9-]{0,20}", fullmatch=True),
)  # fmt: skip
FIELDS = st.lists(st.tuples(FIELD_NAMES, FIELD_VALUES), max_size=3)

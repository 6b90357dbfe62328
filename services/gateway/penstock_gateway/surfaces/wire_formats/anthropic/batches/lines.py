"""Makes lines of a batch's file of the requests that come with it: each is looked at once, and told of by its number, from 0 on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter
from penstock_gateway.surfaces.http1.failures import BodyTooLarge
from penstock_gateway.surfaces.wire_formats.anthropic.batches.wire import BatchRequest
from penstock_gateway.surfaces.wire_formats.anthropic.messages import FORMAT as MESSAGES
from penstock_gateway.surfaces.wire_formats.json_body import read_object

BETAS = "anthropic_beta"
"""The member of a request that says what ``anthropic-beta`` says in a head."""
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REQUEST = msgspec.json.Decoder(BatchRequest)
_LINE = b'{"custom_id":"%b","method":"POST","url":"' + MESSAGES.path.encode() + b'","body":%b}\n'
# Spaces, in JSON; within its texts they are escaped.
_ENDS_OF_LINES = bytes.maketrans(b"\r\n", b"  ")
_DIGEST_BYTES = 16
_encode = msgspec.json.Encoder().encode


class Lines:
    """Makes the lines; ``betas`` go into each of them."""

    def __init__(self, most: int, most_bytes: int, betas: Sequence[str]) -> None:
        self.count = 0
        self._most, self._most_bytes = most, most_bytes
        self._betas = b'{"%b":%b,' % (BETAS.encode(), _encode(betas)) if betas else b""
        self._ids: set[bytes] = set()

    def line(self, request: bytes) -> bytes:
        """Return the line of the next request.

        Raises:
            InvalidRequest: if it is no request of a batch, or one more than there may be.
            BodyTooLarge: if it has more bytes than one may.
        """
        if self.count == self._most:
            text = f"'requests' has more than {self._most} requests, the most that a batch may have."
            raise InvalidRequest(text, field="requests")
        asked = self._read(request)
        line = _LINE % (asked.custom_id.encode(), self._body(asked))
        if len(line) > self._most_bytes:
            text = f"'{self._name()}' is longer than {self._most_bytes} bytes, the most that a request may have."
            raise BodyTooLarge(text)
        self.count += 1
        return line

    def _read(self, request: bytes) -> BatchRequest:
        try:
            str(request, "utf-8")
            asked = read_object(_REQUEST, request)
        except UnicodeDecodeError:
            raise InvalidRequest(f"'{self._name()}' is not UTF-8.", field=self._name()) from None
        except PenstockError as error:
            raise self._renamed(error) from None
        if not _CUSTOM_ID.fullmatch(asked.custom_id):
            text = "must be 1 to 64 letters, digits, '_' and '-'"
            raise InvalidRequest(f"'{self._name('custom_id')}' {text}.", field=self._name("custom_id"))
        if not bytes(asked.params).lstrip().startswith(b"{"):
            raise InvalidRequest(f"'{self._name('params')}' must be an object.", field=self._name("params"))
        digest = hashlib.blake2b(asked.custom_id.encode(), digest_size=_DIGEST_BYTES).digest()
        if digest in self._ids:
            text = f"'{asked.custom_id}', is that of an earlier request; each must be its request's own"
            raise InvalidRequest(f"'{self._name('custom_id')}', {text}.", field=self._name("custom_id"))
        self._ids.add(digest)
        return asked

    def _body(self, asked: BatchRequest) -> bytes:
        body = bytes(asked.params).strip().translate(_ENDS_OF_LINES)
        rest = body[1:].lstrip()
        # Without any member, there is nothing for a provider to be told.
        return body if not self._betas or rest.startswith(b"}") else self._betas + rest

    def _name(self, member: str = "") -> str:
        return f"requests.{self.count}.{member}" if member else f"requests.{self.count}"

    def _renamed(self, error: PenstockError) -> PenstockError:
        """Return the error with the number of the request that has it."""
        if isinstance(error, UnsupportedParameter):
            name = self._name(error.parameter)
            return UnsupportedParameter(f"'{name}' is not supported here; remove it.", parameter=name)
        text = error.message
        field = error.field if isinstance(error, InvalidRequest) else ""
        if field and text.startswith(f"'{field}'"):
            return InvalidRequest(f"'{self._name(field)}'{text[len(field) + 2 :]}", field=self._name(field))
        return InvalidRequest(f"'{self._name()}' is no request: {text}", field=self._name())

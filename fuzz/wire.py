"""Sends one case and reads what comes of it, over plain sockets wherever a library would mend what is broken."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from cases import Bytes, Call, Case, Door, Reply, Request, Stream

_PATIENCE_SECONDS = 40.0
_PIECE = 65_536
_MOST_BYTES = 8 << 20
_MOST_MESSAGES = 500
_DETAILS = "grpc-status-details-bin"


class Sender:
    """Sends cases one after the other; a connection of its own for each, but for gRPC's."""

    def __init__(self, addresses: Mapping[Door, str]) -> None:
        self._addresses = addresses
        self._channel: grpc.Channel | None = None
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._tls.set_alpn_protocols(["h2"])

    def send(self, case: Case) -> Reply:
        """Return what came of a case."""
        if isinstance(case, Call):
            return self._call(case)
        try:
            connection = self._connected(case.door)
        except OSError:
            return Reply("nobody")
        with connection:
            try:
                return _over_http2(connection, case) if isinstance(case, Stream) else _over_http1(connection, case)
            except TimeoutError:
                return Reply("silent")
            except (OSError, http.client.HTTPException):
                return Reply("closed")

    def _connected(self, door: Door) -> socket.socket:
        address = self._addresses[door]
        if address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_PATIENCE_SECONDS)
            connection.connect(address)
            return connection
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)), _PATIENCE_SECONDS)
        return self._tls.wrap_socket(connection) if door == "http2" else connection

    def _call(self, case: Call) -> Reply:
        if self._channel is None:
            self._channel = grpc.insecure_channel(self._addresses["grpc"], [("grpc.max_receive_message_length", -1)])
        try:
            call = self._channel.unary_stream(case.path)(
                case.message, metadata=case.metadata, timeout=case.timeout_seconds
            )
            messages = [message for _, message in zip(range(_MOST_MESSAGES), call, strict=False)]
        except grpc.RpcError as error:
            return _failed(error)
        except ValueError:
            # The library sends no such metadata.
            return Reply("closed")
        call.cancel()
        return Reply("whole", code="OK", body=b"".join(messages[:1]))


def _failed(error: Any) -> Reply:
    trailing = dict(error.trailing_metadata() or ())
    fields = {name: value for name, value in trailing.items() if isinstance(value, str)}
    text = (error.details() or "").encode(errors="replace")
    return Reply("whole", code=error.code().name, fields=fields, body=text, details=trailing.get(_DETAILS, b""))


def _over_http1(connection: socket.socket, case: Bytes | Request) -> Reply:
    with suppress(BrokenPipeError, ConnectionResetError):
        # Whoever refuses may answer, and close, before all has come.
        connection.sendall(case.sent)
    method = case.method.decode() if isinstance(case, Request) else case.data.partition(b" ")[0].decode("latin-1")
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    fields = {name.lower(): value for name, value in answer.getheaders()}
    try:
        body = answer.read(_MOST_BYTES)
    except http.client.IncompleteRead as cut:
        return Reply("cut", answer.status, fields=fields, body=cut.partial)
    except ConnectionError:
        return Reply("cut", answer.status, fields=fields)
    return Reply("whole", answer.status, fields=fields, body=body)


class _Stream:
    """What has come of one stream."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.body = bytearray()
        self.end = ""

    def take(self, event: h2.events.Event) -> int:
        """Take an event in, and return how many bytes of the window it took."""
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            pairs = event.headers or []
            self.fields |= {_text(name): _text(value) for name, value in pairs}
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data or b""
            return event.flow_controlled_length or 0
        elif isinstance(event, h2.events.StreamEnded):
            self.end = "whole"
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            # Whoever has answered need not hear the rest.
            self.end = (
                "whole" if ":status" in self.fields and event.error_code == h2.errors.ErrorCodes.NO_ERROR else "cut"
            )
        return 0

    def reply(self) -> Reply:
        """Return what it was."""
        status = int(self.fields.get(":status", "0"))
        number = self.fields.get("grpc-status", "")
        code = _CODES.get(int(number), number) if number.isdigit() else ""
        end = self.end if self.end in ("whole", "cut") and status else "closed"
        text = self.fields.get("grpc-message", "").encode() if code else bytes(self.body)
        return Reply(end, status, code, self.fields, text)  # pyright: ignore[reportArgumentType]


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _over_http2(connection: socket.socket, case: Stream) -> Reply:
    # What is sent is on purpose; what comes is read as the RFC has it.
    config = h2.config.H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    session = h2.connection.H2Connection(config)
    session.initiate_connection()
    try:
        session.send_headers(1, list(case.fields), end_stream=not case.data)
    except (h2.exceptions.ProtocolError, ValueError, KeyError):
        return Reply("closed")
    unsent = _with_data(session, case.data)
    connection.sendall(session.data_to_send() + case.broken)
    if case.broken:
        # They may leave the server waiting for more of them; what it has said by then is all.
        connection.settimeout(0.2)
    return _read_stream(connection, session, unsent)


def _with_data(session: h2.connection.H2Connection, data: bytes) -> bytes:
    """Send as much of the data as there is a window for, and return the rest."""
    while data:
        room = min(session.local_flow_control_window(1), session.max_outbound_frame_size)
        if room <= 0:
            return data
        session.send_data(1, data[:room], end_stream=len(data) <= room)
        data = data[room:]
    return b""


def _read_stream(connection: socket.socket, session: h2.connection.H2Connection, unsent: bytes) -> Reply:
    stream = _Stream()
    last = time.monotonic() + _PATIENCE_SECONDS
    while not stream.end and time.monotonic() < last:
        try:
            received = connection.recv(_PIECE)
        except TimeoutError:
            if connection.gettimeout() != _PATIENCE_SECONDS:
                return stream.reply()
            raise
        if not received:
            break
        unsent = _taken(session, stream, received, unsent)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(session.data_to_send())
    return stream.reply()


def _taken(session: h2.connection.H2Connection, stream: _Stream, received: bytes, unsent: bytes) -> bytes:
    try:
        for event in session.receive_data(received):
            taken = stream.take(event)
            if taken and not stream.end:
                session.acknowledge_received_data(taken, 1)
        return _with_data(session, unsent) if not stream.end else b""
    except h2.exceptions.ProtocolError:
        # Of a stream that has ended, or was reset while this was on its way.
        stream.end = stream.end or "cut"
        return b""

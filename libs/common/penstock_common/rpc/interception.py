"""What stands around every handler on a socket: the interceptors, then decoding, then the status of its end.

A message is read after the interceptors have let the call in, so that nobody
unknown has one received, let alone decoded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import grpc
import structlog
from grpc_status import rpc_status

from penstock_common import errors
from penstock_common.rpc.aborting import abort
from penstock_common.rpc.method import END_OF_ANSWER, DuplexMethod, Handler
from penstock_common.rpc.reading import ArrivingRequests, MessageReader
from penstock_common.rpc.scope import RequestScope
from penstock_common.rpc.sending import CallerLeftError, ResponseSender, Sendings
from penstock_common.rpc.server_call import ServerCall
from penstock_common.rpc.unread import UnreadAnswers
from penstock_common.status import status_from_error
from penstock_common.telemetry.steps import Steps

_log = structlog.get_logger(__name__)

# gRPC's own clients retry nothing that says so (gRFC A6).
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")
_FAILED = "servicer_failed"
# Where the caller set none, grpcio reports a deadline in the far future.
_NO_DEADLINE_SECONDS = 10 * 365 * 86_400.0


class ServerInterceptor(Protocol):
    """Sees every call begin and end, in the order of registration and its reverse."""

    async def on_start(self, call: ServerCall) -> None:
        """Let the call in, or refuse it by raising a domain error."""
        ...

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """See how the call ended: no error, a domain error, a cancellation or a defect."""
        ...


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around every handler of a listener."""

    interceptors: tuple[ServerInterceptor, ...]
    reader: MessageReader
    unread: UnreadAnswers
    sendings: Sendings


def served_by_grpc(handler: Handler, around: Around) -> grpc.RpcMethodHandler[Any, Any]:
    """Return what ``grpc.aio.Server`` runs for a handler; messages pass as bytes.

    To gRPC every request is a stream, so that nothing is read before we ask.
    """
    if handler.streams:
        return grpc.stream_stream_rpc_method_handler(_stream(handler, around))
    return grpc.stream_unary_rpc_method_handler(_unary(handler, around))


def _unary(handler: Handler, around: Around) -> Callable[..., Any]:
    method, behaviour, interceptors = handler.method, handler.behaviour, around.interceptors
    reader, unread = around.reader, around.unread

    async def intercepted(_: Any, context: Any) -> bytes:
        call = _server_call(method.path, context)
        entered: list[ServerInterceptor] = []
        try:
            for interceptor in interceptors:
                entered.append(interceptor)
                await interceptor.on_start(call)
            unread.check(call)
            request = await reader.read(method.request, call)
            response = method.response.encode(await behaviour(request, call))
        except BaseException as error:
            await _fail(entered, call, error)
            raise
        _end(entered, call, None)
        _add_trailing(call)
        unread.hold(call, len(response))
        return response

    return intercepted


def _stream(handler: Handler, around: Around) -> Callable[..., Any]:
    method, behaviour, interceptors = handler.method, handler.behaviour, around.interceptors
    reader, unread = around.reader, around.unread

    async def intercepted(_: Any, context: Any) -> None:
        call = _server_call(method.path, context)
        entered: list[ServerInterceptor] = []
        sender = ResponseSender(context, around.sendings)
        stream: Any = None
        requests: ArrivingRequests | None = None
        try:
            for interceptor in interceptors:
                entered.append(interceptor)
                await interceptor.on_start(call)
            unread.check(call)
            if isinstance(method, DuplexMethod):
                requests = reader.each(method.request, call)
                stream = behaviour(requests, call)
            else:
                stream = behaviour(await reader.read(method.request, call), call)
            async for response in stream:
                await sender.send(method.response.encode(response))
            if requests is not None:
                await _agree_on_end(requests, sender, around)
        except BaseException as error:
            unread.hold(call, sender.waiting_bytes)
            # It has ended by itself, unless a response of it cannot be written.
            failure = await _close(stream) or error
            if requests is not None:
                failure = await _heard(failure, requests, sender, around)
            await _fail(entered, call, failure)
            raise
        finally:
            if requests is not None:
                requests.close()
        _end(entered, call, None)
        _add_trailing(call)

    return intercepted


async def _agree_on_end(requests: ArrivingRequests, sender: ResponseSender, around: Around) -> None:
    """Tell a caller who still sends that the answer has ended, and let go what comes until they have heard it.

    A call that ends while a request of it is being sent has no status and no last response for its caller: grpcio
    takes the failed sending for the call's own end. Who does not hear it within the write timeout has that.
    """
    if requests.is_over:
        return
    try:
        await sender.send(END_OF_ANSWER)
        async with asyncio.timeout(around.sendings.timeout_seconds):
            await requests.drop()
    except (CallerLeftError, errors.DeadlineExceeded, TimeoutError, grpc.aio.UsageError, grpc.aio.InternalError):
        # What the call has come to stands.
        return


async def _heard(
    failure: BaseException, requests: ArrivingRequests, sender: ResponseSender, around: Around
) -> BaseException:
    """Agree on the end of an answer that fails; return what the call comes to."""
    if isinstance(failure, Exception) and not sender.waiting_bytes:
        try:
            await _agree_on_end(requests, sender, around)
        except asyncio.CancelledError as left:
            return left
    return failure


def _server_call(path: str, context: Any) -> ServerCall:
    metadata = tuple(context.invocation_metadata() or ())
    seconds = cast("float | None", context.time_remaining())
    deadline = None if seconds is None or seconds > _NO_DEADLINE_SECONDS else time.monotonic() + seconds
    # Whose call it is, an interceptor says: on a public listener nobody's word counts.
    return ServerCall(
        path,
        scope=RequestScope(deadline=deadline),
        deadline=deadline,
        steps=Steps(),
        metadata=metadata,
        context=context,
        started=time.perf_counter(),
    )


def _add_trailing(call: ServerCall) -> None:
    """Send the steps back with the status, beside what the servicer has set."""
    if call.steps.recorded:
        context = call.context
        context.set_trailing_metadata((*(context.trailing_metadata() or ()), call.steps.to_metadata()))


async def _close(stream: Any) -> Exception | None:
    """End a stream that is not read on; return why it ends by itself: for its deadline, or by a defect."""
    if stream is not None:
        try:
            await stream.aclose()
        except Exception as reason:  # noqa: BLE001 - what becomes of it is the call's end
            return reason
    return None


async def _fail(entered: list[ServerInterceptor], call: ServerCall, error: BaseException) -> None:
    """Tell the interceptors, then end the call with the error's status; return where the transport has its own."""
    is_stray = isinstance(error, asyncio.CancelledError) and not isinstance(error, CallerLeftError)
    if is_stray and not _is_being_cancelled():
        # A socket's server would send no status at all, and the caller would wait for ever.
        error = _StrayCancellationError("CancelledError, though nobody cancelled the call").with_traceback(
            error.__traceback__
        )
    _end(entered, call, error)
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
        return
    if not isinstance(error, errors.PenstockError):
        _log.error(_FAILED, method=call.path, exc_info=error)
        error = errors.InternalError()
    # grpcio keeps the error for as long as it keeps the call: not with the frames it passed, and what they hold.
    _forget_frames(error)
    _add_trailing(call)
    status = rpc_status.to_status(status_from_error(error))
    # abort() replaces trailing metadata that was set before; keep both.
    context = call.context
    trailing = (*(context.trailing_metadata() or ()), *status.trailing_metadata)
    if isinstance(error, errors.QuotaExhausted):
        trailing = (*trailing, _NO_RETRY)
    try:
        await abort(context, status.code, status.details, trailing)
    except (grpc.aio.InternalError, grpc.aio.UsageError) as failure:
        raise CallerLeftError from failure


def _forget_frames(error: BaseException) -> None:
    """Let go what an error was raised in, and what was raised before it: large messages among it."""
    told: BaseException | None = error
    while told is not None:
        told.__traceback__ = None
        earlier = told.__cause__ or told.__context__
        # Both go, so that this comes to an end also where errors are the cause of one another.
        told.__cause__ = told.__context__ = None
        told = earlier


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _end(entered: list[ServerInterceptor], call: ServerCall, error: BaseException | None) -> None:
    for interceptor in reversed(entered):
        try:
            interceptor.on_end(call, error)
        except Exception as defect:  # noqa: BLE001 - it watches; the call's outcome stands
            _log.error("interceptor_failed", method=call.path, exc_info=defect)


class _StrayCancellationError(Exception):
    """A servicer let through the cancellation of something of its own."""

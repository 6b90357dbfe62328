"""An OpenID provider on a socket, with users to sign in, keys that rotate, and a count of what it was asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

import flask
import jwt
import oidc_provider_mock
import werkzeug.serving
from authlib.jose import KeySet, RSAKey
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "penstock"


class _Handler(werkzeug.serving.WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Say nothing."""


class IdentityProvider:
    """Signs users in, and signs what a test wants signed with the key that it publishes."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._app = oidc_provider_mock.app()
        self._app.before_request(self._note)
        # As issuers do that rotate: what was signed with keys of before is still to be checked.
        self._app.view_functions["oidc-provider-mock.jwks"] = self._published
        self._before: list[RSAKey] = []
        self._storage: Any = None
        self._server = werkzeug.serving.make_server("127.0.0.1", 0, self._app, threaded=True, request_handler=_Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def _note(self) -> None:
        self.asked[flask.request.path] += 1
        self._storage = flask.g.oidc_provider_mock_storage

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            self._get("/jwks")
            self.asked.clear()
            yield
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sign_in(self, subject: str, **claims: Any) -> str:
        """Return the token that somebody gets who signs in with a browser."""
        self._storage.store_user(oidc_provider_mock.User(sub=subject, claims=claims))
        back = {"client_id": CLIENT, "redirect_uri": "http://localhost/back"}
        query = urlencode({**back, "response_type": "code", "scope": "openid"})
        form = urlencode({"sub": subject}).encode()
        with _ASKING.open(Request(f"{self.issuer}/oauth2/authorize?{query}", data=form)) as answer:
            code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        wanted = {**back, "grant_type": "authorization_code", "code": code, "client_secret": "x"}
        with urlopen(Request(f"{self.issuer}/oauth2/token", data=urlencode(wanted).encode())) as answer:
            return str(json.load(answer)["id_token"])

    def _published(self) -> Any:
        return flask.jsonify(KeySet((self._storage.jwk, *self._before)).as_dict())

    def rotate(self, *, keeps: bool) -> None:
        """Sign with another key; those before are published as long as it ``keeps`` them."""
        self._before = [*self._before, self._storage.jwk] if keeps else []
        self._storage.jwk = RSAKey.generate_key(2048, is_private=True)

    @property
    def key_id(self) -> str:
        return str(self._storage.jwk.as_dict()["kid"])

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        return self._storage.jwk.get_private_key()

    @property
    def public_pem(self) -> bytes:
        return self._storage.jwk.as_pem(is_private=False)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return what tokens say; a change to None leaves a claim out."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 3600}
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(self, *, key: Any = None, algorithm: str = "RS256", head: dict[str, Any] | None = None, **changes: Any):
        """Return a token signed with the published key, or another, by the claims that are usual, but for ``changes``."""
        head = {"kid": self.key_id} if head is None else head
        return jwt.encode(self.claims(**changes), key or self.private_key, algorithm=algorithm, headers=head)

    def _get(self, path: str) -> bytes:
        with urlopen(f"{self.issuer}{path}") as answer:
            return answer.read()


class _NoRedirect:
    """Opens what answers with a redirect, and does not follow it."""

    def __init__(self) -> None:
        import urllib.request

        class Kept(urllib.request.HTTPRedirectHandler):
            def http_error_302(self, req, fp, code, msg, headers):
                return fp

        self._opener = urllib.request.build_opener(Kept)

    def open(self, request: Request) -> Any:
        return self._opener.open(request)


_ASKING = _NoRedirect()


def part(data: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

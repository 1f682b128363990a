# SPDX-License-Identifier: Apache-2.0
"""The owner: setup, signing in and out, sessions (`identity`)."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from closedcircuit.api import bodies, shapes
from closedcircuit.api.answers import json, nothing, said
from closedcircuit.api.gate import cookie, session_token
from closedcircuit.api.parts import AddressOf, Parts, PartsOf, SessionOf, SiteOf
from closedcircuit.base.errors import Forbidden
from closedcircuit.identity import Account, NewOwner, PasskeyProof, PassphraseProof, StoredPassphrase
from closedcircuit.vault import Site

router = APIRouter(prefix="/api", tags=["owner"])


@router.get("/session", responses=said(shapes.SessionFacts))
async def session(request: Request, parts: PartsOf) -> Response:
    """Say whether there is an owner, and whether this browser is signed in. For anybody."""
    signed_in = request.scope["state"]["session"] is not None
    account = await parts.desk.run(parts.owner.account)
    cameras, _ = await parts.desk.run(parts.registry.list_usable)
    facts = {
        "owner": account is not None,
        "signed_in": signed_in,
        "name": account.name if account and signed_in else "",
        "pretend": any(camera.pretend for camera in cameras),
        "version": version("closedcircuit"),
    }
    return json(facts)


@router.post("/setup/passkey", responses=said(shapes.Options))
async def setup_passkey(body: bodies.SetupPasskey, parts: PartsOf, site: SiteOf, address: AddressOf) -> Response:
    """Begin setup by passkey: what to give `navigator.credentials.create`."""
    options = await parts.desk.run(parts.owner.setup_options, body.token, body.name, site, address)
    return json({"options": options})


@router.post("/setup", responses=said(shapes.SignedIn))
async def setup(body: bodies.Setup, request: Request, parts: PartsOf, site: SiteOf, address: AddressOf) -> Response:
    """Become the owner. Spends the one-time token, writes the recipients, signs this browser in."""
    proof: PassphraseProof | PasskeyProof
    if isinstance(body.login, bodies.PassphraseLogin):
        login = body.login
        proof = PassphraseProof(bodies.unbase64(login.salt), login.iterations, bodies.unbase64(login.auth))
    else:
        proof = PasskeyProof(body.login.credential)
    new = NewOwner(
        name=body.name,
        recipient=body.recipient,
        recovery_recipient=body.recovery_recipient,
        blob=bodies.unbase64(body.blob),
        proof=proof,
    )
    account = await parts.desk.run(parts.owner.set_up, body.token, new, site, address)
    parts.hub.reload()
    return await _sign_in(request, parts, account, site)


@router.get("/login", responses={200: {"model": shapes.PassphraseQuestion | shapes.PasskeyQuestion}})
async def login_options(parts: PartsOf, site: SiteOf) -> Response:
    """Return what a browser needs to sign in."""
    return json(await parts.desk.run(parts.owner.login_options, site))


@router.post("/login", responses=said(shapes.SignedIn))
async def login(body: bodies.Login, request: Request, parts: PartsOf, site: SiteOf, address: AddressOf) -> Response:
    """Sign in. Five wrong answers a minute, then 429 with Retry-After."""
    if isinstance(body, bodies.PassphraseProof):
        auth = bodies.unbase64(body.auth)
        account = await parts.desk.run(parts.owner.login_passphrase, auth, address)
    else:
        account = await parts.desk.run(parts.owner.login_passkey, body.credential, site, address)
    return await _sign_in(request, parts, account, site)


@router.post("/logout", status_code=204, responses=nothing())
async def logout(request: Request, parts: PartsOf, site: SiteOf) -> Response:
    """Sign this browser out; its live connections end within ten seconds."""
    await parts.desk.run(parts.sessions.close, session_token(request.headers))
    answer = Response(status_code=204)
    answer.set_cookie(**cookie("", secure=_is_secure(site), forget=True))
    return answer


@router.get("/identity", responses=said(shapes.IdentityFacts))
async def identity(parts: PartsOf) -> Response:
    """Return the owner's identity as the browser sealed it, and who can open what is recorded."""
    account = await parts.desk.run(parts.owner.account)
    if account is None:
        raise Forbidden("This site has no owner any more.", remedy="Open the one-time link.")
    facts = {**_identity(account), "recovery_recipient": account.recovery_recipient}
    if isinstance(account.login, StoredPassphrase):
        facts |= {"salt": account.login.salt, "iterations": account.login.iterations}
    return json(facts)


@router.get("/sessions", responses=said(shapes.SessionList))
async def sessions(parts: PartsOf, mine: SessionOf) -> Response:
    """List the browsers that are signed in."""
    rows = [
        {
            "id": row.id,
            "made_90k": row.made_90k,
            "seen_90k": row.seen_90k,
            "expires_90k": row.expires_90k,
            "agent": row.agent,
            "this": row.id == mine.id,
        }
        for row in await parts.desk.run(parts.sessions.list, mine.account)
    ]
    return json({"sessions": rows})


@router.delete("/sessions/{session_id}", status_code=204, responses=nothing())
async def revoke(session_id: str, parts: PartsOf, mine: SessionOf) -> Response:
    """Sign another browser out."""
    await parts.desk.run(parts.sessions.revoke, mine.account, session_id)
    return Response(status_code=204)


async def _sign_in(request: Request, parts: Parts, account: Account, site: Site) -> Response:
    token = await parts.desk.run(parts.sessions.open, account.id, request.headers.get("user-agent", ""))
    answer = json(_identity(account))
    answer.set_cookie(**cookie(token, secure=_is_secure(site)))
    return answer


def _identity(account: Account) -> dict[str, object]:
    kind = "passphrase" if isinstance(account.login, StoredPassphrase) else "passkey"
    return {"recipient": account.recipient, "blob": account.blob, "kind": kind}


def _is_secure(site: Site) -> bool:
    """Say whether the browser came by https, also where TLS ends before us."""
    return site.origin.startswith("https://")

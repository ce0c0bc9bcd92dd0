"""Callbacks that are loaded again: whether a browser has already what its login at a provider was begun for.

What a browser proves here decides only whether a page is told an error. Nothing is written, and no code is redeemed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.store.protocol import AccountStore


def has_come_through(
    store: AccountStore, sessions: Sessions, provider: str, began: int, carried: Iterable[RefreshToken]
) -> bool:
    """Whether a session that is carried began at this provider, or its account was linked to it, since `began`.

    A session of before is no sign that this login succeeded: its person may have wanted another account, and must be
    told that they are not in it. The same holds for a link that was refused. The login's row in the table is not asked,
    because it says neither how the login ended nor, some time after its ten minutes, that there was one.
    """
    for credential in carried:
        session, account = sessions.find_standing(credential)
        if session and account and (_begun_at(session, provider, began) or _linked(store, account, provider, began)):
            return True
    return False


def _begun_at(session: Session, provider: str, began: int) -> bool:
    return session.amr == (provider,) and session.created_at >= began


def _linked(store: AccountStore, account: Account, provider: str, began: int) -> bool:
    login = store.find_login(account.email)
    identity = login.identity(provider) if login and login.account.sub == account.sub else None
    return identity is not None and identity.linked_at >= began

"""Users of the local Cognito pool, made on demand, their password and their tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from botocore.exceptions import ClientError

from infra.local.endpoint import LocalError, session
from infra.local.stack import NAME, outputs


@dataclass(frozen=True)
class Claims:
    """What a token says besides who its user is; `scopes` are separated by spaces."""

    tenant: str = "default"
    tier: str = "free"
    scopes: str = (
        "shortener:read shortener:write analytics:read analytics:write"
        " ratelimiter:read ratelimiter:write"
    )


DEFAULT = Claims()
PASSWORD = "Local-only-1"
"""Everybody's, to log in on a page: the pool is an emulator's, which only this machine reaches.
Cognito asks for all four classes of characters."""


def token(endpoint: str, user: str, claims: Claims = DEFAULT, stack: str = NAME) -> str:
    """An ID token for `user`, who is made if new; the same user has the same subject each time.

    Raises LocalError where nothing is deployed or the stack has no pool of its own, and for a user
    without a name.
    """
    if not user.strip():
        raise LocalError("a token is somebody's: name the user")
    deployed = outputs(endpoint, stack)
    if "UserPoolId" not in deployed:
        raise LocalError("this stack trusts an issuer of its own: ask that one for a token")
    pool, client = deployed["UserPoolId"], deployed["UserPoolClientId"]
    cognito = session(endpoint).client("cognito-idp")
    attributes = [
        {"Name": f"custom:{name}", "Value": value} for name, value in asdict(claims).items()
    ]
    try:
        cognito.admin_create_user(
            UserPoolId=pool, Username=user, UserAttributes=attributes, MessageAction="SUPPRESS"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "UsernameExistsException":
            raise
        cognito.admin_update_user_attributes(
            UserPoolId=pool, Username=user, UserAttributes=attributes
        )
    cognito.admin_set_user_password(
        UserPoolId=pool, Username=user, Password=PASSWORD, Permanent=True
    )
    answer = cognito.initiate_auth(
        ClientId=client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user, "PASSWORD": PASSWORD},
    )
    issued: str = answer["AuthenticationResult"]["IdToken"]
    return issued

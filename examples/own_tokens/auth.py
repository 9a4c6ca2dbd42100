"""Whose tokens are believed: those that this app signs itself. The secret is 32 random bytes or more."""

from minihttp import auth as providers

ISSUER = "https://own-tokens.example.com"
auth = [providers.shared_secret("APP_SECRET", issuer=ISSUER)]

"""Who may connect: answers for the engine's questions about peers, and certificates for CURVE.

    authenticator = pyzq.auth.thread.ThreadAuthenticator(context)
    authenticator.start()
    authenticator.allow("127.0.0.1")
    authenticator.configure_curve(domain="*", location="public_keys")

Source: RFC 27 (ZAP).
"""

from __future__ import annotations

from pyzq.auth.base import CURVE_ALLOW_ANY, Authenticator
from pyzq.auth.certs import create_certificates, load_certificate, load_certificates

__all__ = ["CURVE_ALLOW_ANY", "Authenticator", "create_certificates", "load_certificate", "load_certificates"]

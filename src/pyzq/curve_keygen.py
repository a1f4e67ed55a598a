"""Makes keys for CURVE.

python -m pyzq.curve_keygen            # a pair of keys
python -m pyzq.curve_keygen --json     # the same, for programs
python -m pyzq.curve_keygen --secret S # the public key of a secret one
"""

from __future__ import annotations

import argparse
import sys

from pyzq.features import curve_keypair, curve_public
from zcore.errors import ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Print a pair of keys in Z85.

    Args:
        argv: the arguments; None is those of the program.

    Raises:
        SystemExit: PyNaCl is not installed, or the secret key is none.
    """
    parser = argparse.ArgumentParser(
        # the name it was run by
        f"python3 -m {__spec__.name if __spec__ else 'pyzq.curve_keygen'}",
        description="Makes a public and a secret key for CURVE, in Z85, which is ASCII.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.add_argument("--secret", help="the secret key, whose public key is wanted")
    args = parser.parse_args(argv)
    try:
        if args.secret is None:
            public, secret = curve_keypair()
        else:
            public, secret = curve_public(args.secret), args.secret.encode("ascii")
    except (ValueError, ZMQError) as error:
        sys.exit(f"{parser.prog}: {error}")
    if args.json:
        from json import dumps

        print(dumps({"public": public.decode(), "secret": secret.decode()}, indent=1))
    else:
        print(f"== CURVE PUBLIC KEY ==\n{public.decode()}\n\n== CURVE SECRET KEY ==\n{secret.decode()}")


if __name__ == "__main__":
    main()

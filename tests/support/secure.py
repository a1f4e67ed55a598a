"""Options that make two sockets speak a mechanism, and the keys they are made of."""

from support.impl import zmq

MECHANISMS = ("NULL", "PLAIN", "CURVE")
NAME, PASSWORD = b"admin", b"open sesame"


class Keys:
    """Of one server and one client, as `curve_keypair` makes them."""

    def __init__(self):
        self.server, self.server_secret = zmq.curve_keypair()
        self.client, self.client_secret = zmq.curve_keypair()

    def of_server(self):
        return {"CURVE_SECRETKEY": self.server_secret, "CURVE_SERVER": 1}

    def of_client(self):
        return {
            "CURVE_SERVERKEY": self.server,
            "CURVE_PUBLICKEY": self.client,
            "CURVE_SECRETKEY": self.client_secret,
        }


def options_of(mechanism, keys=None):
    """(server's, client's) options.  NULL has a domain, so that the server's side asks its authoriser."""
    if mechanism == "NULL":
        return {"ZAP_DOMAIN": b"domain"}, {}
    if mechanism == "PLAIN":
        return {"PLAIN_SERVER": 1}, {"PLAIN_USERNAME": NAME, "PLAIN_PASSWORD": PASSWORD}
    keys = keys or Keys()
    return keys.of_server(), keys.of_client()


def secure(server, client, mechanism, keys=None):
    """Sets them on two sockets that are not linked yet."""
    for socket, options in zip((server, client), options_of(mechanism, keys), strict=True):
        for name, value in options.items():
            socket.set(int(getattr(zmq, name)), value)

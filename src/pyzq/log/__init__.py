"""Logging over sockets: see `pyzq.log.handlers`, and `python -m pyzq.log` to watch."""

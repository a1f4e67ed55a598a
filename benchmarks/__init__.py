"""Benchmarks of pyzq beside its peers: ``python -m benchmarks run``, ``compare``, ``list``, ``instructions``.

See benchmarks/README.md for how to read the tables, how everything is measured, and how to add a row.
"""

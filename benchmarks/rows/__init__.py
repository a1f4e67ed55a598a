"""The rows, by subject: every module here with a list `ROWS` adds to the registry.

To add rows, add a module, or extend one; to measure something in a new way, add a module to benchmarks.scenarios.
"""

"""How each kind of row is measured. One module per kind, with

- ``roles(pattern) -> tuple[(name, function), ...]``: the sides, in the order first to last; each function takes
  ``(link, context)``, runs in its own process (inproc: in its own thread) and returns a dict. The first and the last
  role share a byte channel, ``link.tell`` / ``link.hear``;
- ``summarise(job, results) -> dict[str, float]``: from the roles' dicts to the values of the row's metrics, plus
  "operations", what the CPU seconds are divided by, and optionally "queued_share".

A new kind is a new module here; rows name it in their `kind`.
"""

"""Waits until the statistics of both workers were published.

circus_stats.py ENDPOINT
"""

import json
import sys

from circus.consumer import CircusConsumer
from saying import say

seen = {}
for topic, message in CircusConsumer(["stat.worker"], endpoint=sys.argv[1]):
    stats = json.loads(message)
    if isinstance(stats.get("pid"), int):
        seen[stats["pid"]] = topic.decode()
    if len(seen) >= 2:
        break
say("seen", pids=sorted(seen))

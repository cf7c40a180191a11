"""Reads {"expression", "zone", "base", "count"} as lines of JSON, writes {"firings"} or {"error"} for each."""

import datetime
import json
import sys
import zoneinfo

from croniter import croniter

answers = []
for line in sys.stdin.read().splitlines():
    case = json.loads(line)
    try:
        base = datetime.datetime.fromtimestamp(case["base"], zoneinfo.ZoneInfo(case["zone"]))
        # Vixie's rule: a day field that begins with a star does not widen the other one.
        firings = croniter(case["expression"], base, implement_cron_bug=True, max_years_between_matches=60)
        answers.append({"firings": [int(firings.get_next(float)) for _ in range(case["count"])]})
    except Exception as error:
        answers.append({"error": f"{type(error).__name__}: {error}"})
for answer in answers:
    print(json.dumps(answer))

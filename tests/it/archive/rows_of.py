"""What another library finds in Parquet files: types, then one line of JSON for each row, in order of id."""

import json
import sys

import pyarrow.parquet as parquet

rows = []
for path in sys.stdin.read().splitlines():
    table = parquet.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    rows += table.to_pylist()
print(json.dumps(types))
for row in sorted(rows, key=lambda row: row["id"]):
    row["placed_at"] = int(row["placed_at"].timestamp() * 1_000_000)
    row["raw"] = row["raw"].hex() if row["raw"] is not None else None
    row["amount"] = str(row["amount"]) if row["amount"] is not None else None
    print(json.dumps(row, ensure_ascii=False, sort_keys=True))

"""What a function in Python does before its first answer: DuckDB, httpfs as it lies there, one query."""

import json
import os
import sys

import duckdb

connection = duckdb.connect(
    ":memory:", config={"extension_directory": sys.argv[1], "allow_unsigned_extensions": "false"}
)
connection.execute("LOAD httpfs")


def handler(event, _context):
    sql = json.loads(event["body"])["sql"]
    return {"statusCode": 200, "body": json.dumps(connection.execute(sql).fetchall())}


answer = handler({"body": json.dumps({"sql": "SELECT 1 AS one"})}, None)
print(answer["body"], flush=True)
os._exit(0)

"""A web server for tests: it keeps every request, and answers as the address says.

receiver.py PORT FOLDER
"""

import http.server
import json
import os
import sys
import threading
import time

FOLDER = sys.argv[2]
LOCK = threading.Lock()
COUNT = 0


class Clerk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, value):
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def keep(self, body):
        global COUNT
        with LOCK:
            COUNT += 1
            number = COUNT
        kept = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body.decode()}
        name = os.path.join(FOLDER, f"{number:04}.json")
        with open(name + ".part", "w") as file:
            json.dump(kept, file)
        os.rename(name + ".part", name)
        return number

    def do_GET(self):
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = self.keep(body)
        last = self.path.rstrip("/").split("/")[-1]
        if last == "429":
            self.answer(429, b"slow down", Retry_After="7")
        elif last.isdigit():
            self.answer(int(last), b"said with the key sesame in it", Location="/elsewhere")
        elif last == "garbage":
            self.wfile.write(b"\x00\xffthis is not HTTP\r\n\r\n")
            self.close_connection = True
        elif last == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(100_000):
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
            self.close_connection = True
        elif last == "nothing":
            self.close_connection = True
            self.connection.close()
        elif "/hang" in self.path:
            time.sleep(600)
        elif last == "senseless":
            self.answer(200, b"<html>welcome</html>")
        elif last in ("chat.postMessage", "chat.update"):
            self.slack(last, json.loads(body), number)
        elif self.path.startswith("/v2/"):
            self.pagerduty(json.loads(body))
        else:
            self.answer(200, b"ok")

    def slack(self, method, asked, number):
        if self.headers.get("Authorization") != "Bearer xoxb-sesame":
            self.json(200, {"ok": False, "error": "invalid_auth"})
        elif asked.get("channel") == "#full":
            self.json(200, {"ok": False, "error": "ratelimited"})
        elif method == "chat.update" and asked.get("ts") == "1.000000":
            self.json(200, {"ok": False, "error": "message_not_found"})
        else:
            ts = asked.get("ts") or f"1700000000.{number:06}"
            self.json(200, {"ok": True, "channel": "C0123", "ts": ts, "message": {}})

    def pagerduty(self, event):
        if event["routing_key"] != "sesame":
            errors = [f"'routing_key' is invalid: {event['routing_key']}"]
            self.json(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
        else:
            self.json(202, {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key")})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Clerk).serve_forever()

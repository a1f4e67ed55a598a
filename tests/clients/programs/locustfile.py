"""Users that ask a small web server of their own process; the master's totals say whether the reports came."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zmq.green
from locust import HttpUser, constant, events, task


class Quiet(BaseHTTPRequestHandler):
    """Answers everything, says nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"good" if self.path != "/bad" else b"no"
        self.send_response(200 if self.path != "/bad" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


web = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
threading.Thread(target=web.serve_forever, daemon=True).start()


class Visitor(HttpUser):
    """Two pages, one of which fails."""

    host = f"http://127.0.0.1:{web.server_port}"
    wait_time = constant(0.05)

    @task(3)
    def good(self):
        self.client.get("/good")

    @task(1)
    def bad(self):
        self.client.get("/bad")


def say(event, **facts):
    who = {"pid": os.getpid(), "module": zmq.__name__, "file": zmq.__file__}
    print(json.dumps({"event": event, **who, **facts}), flush=True)


def on_note(environment, msg, **_):
    say("note", data=msg.data)
    if environment.runner.__class__.__name__ == "WorkerRunner":
        environment.runner.send_message("note", {"from": os.getpid()})


@events.init.add_listener
def on_init(environment, **_):
    environment.runner.register_message("note", on_note)


@events.test_start.add_listener
def on_start(environment, **_):
    say("start")
    if environment.runner.__class__.__name__ == "MasterRunner":
        environment.runner.send_message("note", {"from": os.getpid()})


@events.quitting.add_listener
def on_quitting(environment, **_):
    if environment.runner.__class__.__name__ == "MasterRunner":
        total = environment.stats.total
        say("totals", requests=total.num_requests, failures=total.num_failures)

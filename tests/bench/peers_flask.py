"""The users API on Flask and sqlite3, with one database connection per thread: the same work and durability as ours."""
import logging, os, re, sqlite3, sys, threading
from datetime import datetime, timezone

from flask import Flask, jsonify, request

logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(__name__)
local = threading.local()


def database():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
        local.db.execute("PRAGMA journal_mode = WAL")
        local.db.execute("PRAGMA synchronous = FULL")
    return local.db


database().execute(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, created TEXT, updated TEXT)")
names = ["id", "name", "email", "created", "updated"]


@app.get("/users/<int:id>")
def get(id):
    row = database().execute("SELECT id, name, email, created, updated FROM users WHERE id = ?", (id,)).fetchone()
    return jsonify(dict(zip(names, row))) if row else (jsonify(status=404), 404)


@app.post("/users")
def create():
    user = request.get_json()
    name, email = user["name"], user["email"]
    if not isinstance(name, str) or not re.fullmatch(r"[^\s@]+@[^\s@]+", email):
        return jsonify(status=422), 422
    now = datetime.now(timezone.utc).isoformat()
    id = database().execute("INSERT INTO users (name, email, created, updated) VALUES (?, ?, ?, ?)",
                            (name, email.lower(), now, now)).lastrowid
    return jsonify(id=id, name=name, email=email, created=now, updated=now), 201, {"Location": f"/users/{id}"}


print("listening", flush=True)
app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)

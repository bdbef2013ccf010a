"""Opens Socket.IO clients that poll and leaves their GETs held: polling.py PORT COUNT SECRET. Prints a line when all wait, and waits."""
import base64, hashlib, hmac, json, resource, socket, sys, time

port, count, secret = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token():
    claims = {"tenant": "bench", "sub": "poller", "exp": int(time.time()) + 3600}
    text = encode(b'{"alg":"HS256"}') + b"." + encode(json.dumps(claims).encode())
    return (text + b"." + encode(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def answer(client):
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(4096)
    head, body = data.split(b"\r\n\r\n", 1)
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += client.recv(4096)
    assert head.startswith(b"HTTP/1.1 200"), data
    return body


def ask(client, method, query, body=""):
    client.sendall((f"{method} /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: bench\r\n"
                    + (f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n" if body else "")
                    + f"\r\n{body}").encode())


connect = "40" + json.dumps({"token": token()})
held = []
for number in range(count):
    client = socket.socket()
    client.bind((f"127.0.1.{1 + number % 200}", 0))
    client.connect(("127.0.0.1", port))
    ask(client, "GET", "")
    query = "&sid=" + json.loads(answer(client)[1:])["sid"]
    ask(client, "POST", query, connect)
    answer(client)
    ask(client, "GET", query)
    assert answer(client).startswith(b"40{")
    ask(client, "GET", query)
    held.append(client)
print("waiting", flush=True)
time.sleep(60)

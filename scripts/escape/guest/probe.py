# Runs the probes of the escape matrix inside a guest. Only what Debian's python3-minimal holds.
# Standard input: one line per probe: name, kind, arguments in base64, separated by spaces.
# Standard output: one line per probe: name, `tried` or `not-tried`, what came back in base64.
import base64, os, socket, struct, subprocess, sys, threading, time

WORKERS = 6
WAIT_SECONDS = 6
SCRIPT_SECONDS = 150
REPLY_BYTES_MAX = 20000


def read_reply(sock, wait=WAIT_SECONDS):
    got, deadline = b"", time.monotonic() + wait
    while len(got) < REPLY_BYTES_MAX:
        sock.settimeout(max(0.05, deadline - time.monotonic()))
        try:
            chunk = sock.recv(65536)
        except OSError:
            break
        if not chunk:
            break
        got += chunk
        # Enough of an answer to judge; a peer that keeps the connection open would cost the whole wait.
        deadline = min(deadline, time.monotonic() + 0.4)
    return got


def proxy(*sends):
    sock = socket.create_connection(("127.0.0.1", 3128), WAIT_SECONDS)
    replies = []
    with sock:
        for data in sends:
            try:
                sock.settimeout(WAIT_SECONDS)
                sock.sendall(data)
            except OSError as error:
                replies.append(b"[%s]" % str(error).encode())
                break
            replies.append(read_reply(sock))
    return b"\n--\n".join(replies)


def tcp(host, port, data=b""):
    with socket.create_connection((host.decode(), int(port)), WAIT_SECONDS) as sock:
        if data:
            sock.sendall(data)
        return b"connected " + read_reply(sock, 2)


def udp(host, port, data=b"x"):
    address = socket.getaddrinfo(host.decode(), int(port), 0, socket.SOCK_DGRAM)[0]
    with socket.socket(address[0], socket.SOCK_DGRAM) as sock:
        sock.sendto(data, address[4])
        return b"sent " + read_reply(sock, 1)


def sh(script):
    done = subprocess.run(
        ["sh", "-c", script.decode("latin1")], capture_output=True, timeout=SCRIPT_SECONDS, stdin=subprocess.DEVNULL
    )
    out = done.stdout[-REPLY_BYTES_MAX:] + done.stderr[-2000:]
    return out, b"tried" in done.stdout.split(b"\n")


def py(code):
    said = []
    names = dict(socket=socket, struct=struct, os=os, time=time, say=lambda text: said.append(str(text)))
    try:
        exec(code.decode(), names)
    except OSError as error:
        said.append(repr(error))
    return "\n".join(said).encode("latin1", "replace")


KINDS = dict(proxy=proxy, tcp=tcp, udp=udp, sh=sh, py=py)
OUTPUT = threading.Lock()


def answer(name, kind, args):
    tried = True
    try:
        got = KINDS[kind](*args)
        if isinstance(got, tuple):
            got, tried = got
    except OSError as error:
        # A network that refuses is what an attempt is about; a proxy that cannot be reached is not.
        got, tried = repr(error).encode(), kind != "proxy"
    except Exception as error:
        got, tried = repr(error).encode(), False
    with OUTPUT:
        print(name, "tried" if tried else "not-tried", base64.b64encode(got).decode(), flush=True)


def main():
    lines = [line.split() for line in sys.stdin.read().splitlines() if line]
    taken = threading.Lock()

    def work():
        while True:
            with taken:
                if not lines:
                    return
                name, kind, *args = lines.pop(0)
            answer(name, kind, [base64.b64decode(arg) for arg in args])

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


main()

"""inspect over http and https, from a server in this process that can also misbehave."""
import http.server
import os
import re
import shutil
import ssl
import subprocess
import threading

import gguf_file
import harness
from gguf_file import Tensor, build, llama_metadata
from harness import Case, FOLDER

SMALL = gguf_file.llama()
# The header is larger than the first request, so that it is asked for in several.
LARGE = build(llama_metadata(**{"general.description": "x" * (3 << 20)}),
              gguf_file.llama_tensors())


def parts():
    """A mixture of experts in two files; the second one knows nothing of the experts."""
    split = {"split.count": 2, "split.tensors.count": 3}
    first = build({**llama_metadata(**{"llama.expert_count": 8, "llama.expert_used_count": 2}),
                   **split, "split.no": 0},
                  [Tensor("token_embd.weight", [32, gguf_file.N_VOCAB])])
    second = build({**split, "split.no": 1}, [Tensor("blk.0.ffn_up_exps.weight", [32, 16, 8]),
                                              Tensor("output.weight", [32, gguf_file.N_VOCAB])])
    return first, second


FILES = {"/small.gguf": SMALL, "/large.gguf": LARGE, "/page.gguf": b"<html>no model</html>",
         "/m-00001-of-00002.gguf": parts()[0], "/m-00002-of-00002.gguf": parts()[1],
         "/renamed.gguf": parts()[0], "/torn-00001-of-00002.gguf": parts()[0],
         "/torn-00002-of-00002.gguf": SMALL, "/empty.gguf": b""}


class Handler(http.server.BaseHTTPRequestHandler):
    """/MODE/FILE. ranges: as it should be; the other modes are named in `do_GET`."""
    protocol_version = "HTTP/1.1"
    sent = 0  # body bytes, over all requests

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            Handler.sent += len(body)
        except OSError:  # the client had enough
            self.close_connection = True

    def do_GET(self):
        path = self.path.split("?")[0]
        mode, name = path[1:].split("/", 1)
        data = FILES.get("/" + name)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, None)
        if mode == "redirect":
            return self.answer(302, b"", Location="/ranges/" + name)
        if mode == "loop":
            return self.answer(302, b"", Location=path)
        if mode == "forbidden":
            return self.answer(403, b"no")
        if data is None:
            return self.answer(404, b"none")
        if mode == "whole":  # a server that knows no ranges
            return self.answer(200, data)
        if mode == "shifted":
            start += 1
        body, total = data[start:end], len(data)
        if mode == "changing" and start > 0:
            total += 1
        if mode == "huge":  # goes on with zeros
            body, total = body + bytes(end - start - len(body)), 1 << 30
        if not body:
            return self.answer(416, b"")
        self.answer(206, body, Content_Range=f"bytes {start}-{start + len(body) - 1}/{total}",
                    ETag=f'"{start if mode == "tagged" else 1}"')


def serve(secure=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    if secure:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


PLAIN = "http://" + serve()


class Remote(Case):
    def test_same_as_the_file(self):
        expected = self.json("inspect", harness.write("small.gguf", SMALL))
        for mode in ("ranges", "whole", "redirect"):
            self.assertEqual(self.json("inspect", f"{PLAIN}/{mode}/small.gguf"), expected)
        self.assertEqual(self.json("inspect", f"{PLAIN}/ranges/small.gguf?download=true"), expected)
        self.assertIn(b"llama, runs here", self.text("inspect", f"{PLAIN}/ranges/small.gguf"))

    def test_a_header_of_several_requests(self):
        expected = self.json("inspect", harness.write("large.gguf", LARGE))
        for mode in ("ranges", "whole"):
            self.assertEqual(self.json("inspect", f"{PLAIN}/{mode}/large.gguf"), expected)

    def test_only_the_header_is_fetched(self):
        FILES["/long.gguf"] = build(llama_metadata(), gguf_file.llama_tensors() + [
            Tensor("more", [1 << 22], bytes(1 << 24))])
        Handler.sent = 0
        self.json("inspect", f"{PLAIN}/ranges/long.gguf")
        self.assertLessEqual(Handler.sent, 1 << 20)

    def test_parts(self):
        names = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
        for name in names:
            harness.write(name, FILES["/" + name])
        local = self.json("inspect", os.path.join(FOLDER, names[0]))
        got = self.json("inspect", f"{PLAIN}/ranges/{names[0]}?x=1")
        self.assertEqual(sorted(t["name"] for t in got["tensors"]),
                         ["blk.0.ffn_up_exps.weight", "output.weight", "token_embd.weight"])
        for field in ("parameters", "active_parameters", "tensor_bytes", "parts", "experts"):
            self.assertEqual(got[field], local[field], field)
        self.assertEqual(got["parts"], 2)
        # a row of the token table, the head, 2 of 8 experts
        self.assertEqual(got["active_parameters"], 32 + 32 * gguf_file.N_VOCAB + 32 * 16 * 2)

    def test_parts_that_do_not_fit(self):
        self.refuse(3, "first part", "inspect", f"{PLAIN}/ranges/m-00002-of-00002.gguf")
        self.refuse(3, "2 parts|name", "inspect", f"{PLAIN}/ranges/renamed.gguf")
        self.refuse(3, "belong together", "inspect", f"{PLAIN}/ranges/torn-00001-of-00002.gguf")

    def test_rehearsing_what_is_not_here(self):
        got = self.json("rehearse", f"{PLAIN}/ranges/small.gguf", "-p", 2, "-n", 1, "--threads", 2)
        local = self.json("inspect", harness.write("small.gguf", SMALL))
        self.assertEqual(got["parameters"], local["parameters"])
        self.refuse(3, "is missing|get another file", "rehearse",
                    f"{PLAIN}/ranges/m-00001-of-00002.gguf", "-p", 2, "-n", 1)

    def test_not_a_model(self):
        self.refuse(3, "not a GGUF", "inspect", f"{PLAIN}/ranges/page.gguf")

    def test_servers_that_say_no(self):
        self.refuse(1, "404|check the address", "inspect", f"{PLAIN}/ranges/none.gguf")
        self.refuse(1, "403|login", "inspect", f"{PLAIN}/forbidden/small.gguf")
        self.refuse(1, "416", "inspect", f"{PLAIN}/ranges/empty.gguf")
        self.refuse(1, "connection", "inspect", f"{PLAIN}/loop/small.gguf")
        self.refuse(1, "connection", "inspect", "http://127.0.0.1:1/small.gguf")
        self.refuse(1, "connection", "inspect", "http://nowhere.invalid/small.gguf")

    def test_servers_that_misbehave(self):
        self.refuse(1, "another range", "inspect", f"{PLAIN}/shifted/small.gguf")
        self.refuse(1, "changed", "inspect", f"{PLAIN}/changing/large.gguf")
        self.refuse(1, "changed", "inspect", f"{PLAIN}/tagged/large.gguf")
        self.refuse(1, "is empty", "inspect", f"{PLAIN}/whole/empty.gguf")

    def test_a_header_without_end(self):
        """Claims a text of 600 MiB in a file of 1 GiB: what is fetched stays bounded."""
        claim = gguf_file.build({"general.description": "x"}, [])
        at = claim.index(b"general.description") + len("general.description") + 4
        FILES["/endless.gguf"] = claim[:at] + (600 << 20).to_bytes(8, "little")
        Handler.sent = 0
        self.refuse(3, "does not end within 256 MiB", "inspect", f"{PLAIN}/huge/endless.gguf")
        self.assertLessEqual(Handler.sent, 2 * (256 << 20))

    @harness.unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_certificates_are_checked(self):
        key, cert = os.path.join(FOLDER, "key.pem"), os.path.join(FOLDER, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1"], check=True,
                       capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        address = serve(context)
        self.refuse(1, "certificate", "inspect", f"https://{address}/ranges/small.gguf")


if __name__ == "__main__":
    harness.main()

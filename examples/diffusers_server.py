"""A small image server made of diffusers and the standard library alone.

    warmset run -- python examples/diffusers_server.py FOLDER_OR_REPO [PORT]
    curl -o cat.png 'http://127.0.0.1:8000/generate?prompt=a+cat&steps=20&seed=1'

It knows nothing of Warmset: the hook puts the loaders in place. Start it twice, and
both map the same weights. It answers one request after another, on loopback alone.
"""

from __future__ import annotations

import http.server
import io
import sys
import urllib.parse
from typing import Any

import torch
from diffusers import DiffusionPipeline


class Handler(http.server.BaseHTTPRequestHandler):
    pipeline: Any = None

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path != "/generate" or "prompt" not in query:
            self.send_error(404, "ask for /generate?prompt=...")
            return
        try:
            options = {"num_inference_steps": int(query.get("steps", 20))}
            options.update({name: int(query[name]) for name in ("width", "height") if name in query})
            generator = torch.Generator().manual_seed(int(query.get("seed", 0)))
            image = self.pipeline(query["prompt"], generator=generator, **options).images[0]
        except ValueError as error:
            self.send_error(400, str(error).splitlines()[0])
            return
        png = io.BytesIO()
        image.save(png, "PNG")
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(png.tell()))
        self.end_headers()
        self.wfile.write(png.getvalue())


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    Handler.pipeline = DiffusionPipeline.from_pretrained(sys.argv[1]).to(device)
    Handler.pipeline.set_progress_bar_config(disable=True)
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    with http.server.HTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/generate", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

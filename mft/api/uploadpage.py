"""The upload page: case number, token, file and archive password, in any browser. Nothing of it is stored, anywhere."""

from __future__ import annotations

import base64
import hashlib

from aiohttp import hdrs, web

PATH = "/upload/"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
label{display:block;margin:1rem 0 .25rem;font-weight:600}
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #767676;border-radius:.25rem}
button{font:inherit;margin-top:1.5rem;padding:.6rem 1.5rem;border:0;border-radius:.25rem;background:#0b5394;color:#fff}
button:disabled{background:#767676}progress{width:100%;margin-top:1rem}pre{white-space:pre-wrap;word-break:break-word}
@media (prefers-color-scheme:dark){body{color:#eee;background:#161616}input{color:#eee;background:#222}}
"""
_SCRIPT = """
'use strict';
const form = document.querySelector('form'), said = document.querySelector('#said');
const bar = document.querySelector('progress'), button = document.querySelector('button');
form.elements.number.value = decodeURIComponent(location.hash.slice(1));
form.addEventListener('submit', event => {
  event.preventDefault();
  const number = form.elements.number.value.trim(), file = form.elements.file.files[0];
  const word = new TextEncoder().encode(number + ':' + form.elements.token.value.trim());
  const request = new XMLHttpRequest();
  request.open('PUT', '/cases/' + encodeURIComponent(number) + '/' + encodeURIComponent(file.name));
  request.setRequestHeader('Authorization', 'Basic ' + btoa(String.fromCharCode(...word)));
  const password = form.elements.password.value;
  if (password) request.setRequestHeader('Archive-Password', encodeURIComponent(password));
  request.upload.onprogress = step => { bar.hidden = false; bar.max = step.total; bar.value = step.loaded; };
  request.onload = () => {
    button.disabled = false;
    let told = {};
    try { told = JSON.parse(request.responseText); } catch { told = {}; }
    said.textContent = request.status === 201
      ? 'Received: ' + told.name + ', ' + told.size + ' bytes, SHA-256 ' + told.sha256 + '. Receipt ' + told.id + '.'
      : 'Not taken (' + request.status + '): ' + (told.detail || request.statusText);
  };
  request.onerror = () => { button.disabled = false; said.textContent = 'The connection broke off. Send it again.'; };
  button.disabled = true;
  said.textContent = 'Sending…';
  request.send(file);
});
"""
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Upload to a case</title><style>{style}</style>
<h1>Upload to a case</h1>
<form autocomplete="off">
<label for="number">Case number</label><input id="number" name="number" required>
<label for="token">Token</label><input id="token" name="token" type="password" required>
<label for="file">File</label><input id="file" name="file" type="file" required>
<label for="password">Password of the archive, if it has one</label>
<input id="password" name="password" type="password">
<button>Upload</button>
</form>
<progress hidden></progress><pre id="said" role="status" aria-live="polite"></pre>
<script>{script}</script>
</html>
"""


class UploadPage:
    """Serves it, with a policy that lets its own style and script run, and nothing else."""

    def __init__(self) -> None:
        """Write the page."""
        self._body = _PAGE.format(style=_STYLE, script=_SCRIPT).encode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            hdrs.CACHE_CONTROL: "no-cache",
        }

    def add_routes(self, app: web.Application) -> None:
        """Add the page's address to *app*."""
        app.router.add_get(PATH, self.serve)

    async def serve(self, _request: web.Request) -> web.Response:
        """Answer with the page; it asks for no login, its upload does."""
        return web.Response(body=self._body, content_type="text/html", charset="utf-8", headers=self._headers)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"

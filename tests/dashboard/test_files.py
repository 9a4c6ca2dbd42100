# SPDX-License-Identifier: MIT
"""Files: one is uploaded."""

from __future__ import annotations

import re
import urllib.request

from tests.dashboard.conftest import Site


def test_a_file_is_uploaded(site: Site) -> None:
    token = re.search(r'name="form_token" value="([^"]+)"', site.person.get("/_/files").text)
    assert token
    body = (
        f'--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token[1]}\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        "Content-Type: text/plain\r\n\r\nby hand\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": site.url}
    request = urllib.request.Request(f"{site.url}/_/files", body.encode(), headers)
    done = site.person._send(request)
    assert done.status == 303
    page = done.headers["Location"].partition("?")[0]
    assert "text/plain" in site.person.get(page).text
    assert site.person.get(f"{page}/content").text == "by hand"
    assert site.person.submit("/_/files", "/_/files").status == 400

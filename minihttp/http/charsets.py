# SPDX-License-Identifier: MIT
"""The character encodings of text and forms: a table of labels, so that no stranger names a codec.

Some of Python's are quadratic, some give no text, and each unknown name that is looked up is kept for ever.
The labels are the usual ones of the WHATWG Encoding Standard (§4.2).
"""

from __future__ import annotations

from ..errors import HTTPError

_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "latin1": "latin-1",
    "utf-16": "utf-16",
    "big5": "big5hkscs",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "macintosh": "mac_roman",
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    **{f"iso-8859-{number}": f"iso8859_{number}" for number in (*range(1, 12), *range(13, 17))},
    **{f"windows-{number}": f"cp{number}" for number in range(1250, 1259)},
}


def codec_of(label: str) -> str:
    """Python's codec of an encoding's label, in any case.

    Raises:
        HTTPError: 415 for a label that is not in the table.
    """
    codec = _CODECS.get(label.lower())
    if codec is None:
        raise HTTPError(415, f"Charset {label[:100]!a} is not supported; send utf-8")
    return codec

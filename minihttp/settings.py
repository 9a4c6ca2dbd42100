# SPDX-License-Identifier: MIT
"""Settings that stand in text files: `.env`, whose variables never override the environment.

Knows nothing of what a setting means.
"""

from __future__ import annotations

import os
import re

from .errors import ConfigurationError

_ENV_LINE = r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=([^\0]*)"
_ENV_QUOTED = r"""[ \t]*(["'])(.*?)\1[ \t]*(?:#.*)?"""


def read_env_file(path: str = ".env") -> dict[str, str]:
    """The variables of a `.env` file; none if there is no such file.

    A line is `NAME=value`, `export NAME="value"`, a `# comment` or blank. A comment may follow a value, after
    white space where the value is not in quotes. What is in quotes is taken as it stands, in one line.

    Raises:
        ConfigurationError: a line that is none of these, or a file that cannot be read.
    """
    if not os.path.isfile(path):
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(_ENV_LINE, line.strip())
        if match is None:
            raise ConfigurationError(f"{path}:{number}: a line must be NAME=value or a comment")
        name, value = match.groups()
        quoted = re.fullmatch(_ENV_QUOTED, value)
        found[name] = quoted[2] if quoted else re.split(r"[ \t]#", value, maxsplit=1)[0].strip()
        if not quoted and found[name][:1] in ("'", '"'):
            raise ConfigurationError(
                f"{path}:{number}: the value of {name} begins with a quote that is not closed"
            )
    return found


def read_text(path: str) -> str:
    """The text of a file in UTF-8; ConfigurationError for one that cannot be read."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not text in UTF-8: byte {error.start}") from None

# SPDX-License-Identifier: MIT
"""Which value is in force, and that every mistake names its place."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihttp import cli
from minihttp.cli._settings import SETTINGS, add_flags, resolve
from minihttp.errors import ConfigurationError
from minihttp.settings import read_env_file

needs_toml = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="the standard library reads TOML from 3.11 on"
)


def test_defaults(tmp_path: Path) -> None:
    settings = resolve({}, {}, str(tmp_path))
    assert settings["port"] == 8080 and settings["host"] == "127.0.0.1" and settings["metrics"] is False
    assert set(settings.origins.values()) == {"default"}
    assert settings.for_app() == {}


@needs_toml
def test_flags_beat_environment_beats_file(tmp_path: Path) -> None:
    (tmp_path / "minihttp.toml").write_text('port = 1\nthreads = 2\nlog-format = "json"\nmetrics = true\n')
    environ = {"MINIHTTP_PORT": "3", "MINIHTTP_THREADS": "4", "OTHER": "5"}
    settings = resolve({"port": "6", "host": None, "target": "app"}, environ, str(tmp_path))
    assert [
        (settings[name], settings.origins[name]) for name in ("port", "threads", "log_format", "metrics")
    ] == [
        (6, "--port"),
        (4, "MINIHTTP_THREADS"),
        ("json", "minihttp.toml"),
        (True, "minihttp.toml"),
    ]


@needs_toml
def test_limits_are_settings_too(tmp_path: Path) -> None:
    file = "minihttp.toml"
    (tmp_path / file).write_text("[limits]\nmax_body_bytes = 1\nmax-form-parts = 2\nquery_seconds = 3\n")
    parser = argparse.ArgumentParser()
    add_flags(parser, *SETTINGS)
    flags = vars(parser.parse_args(["--limits-max-form-parts", "5"]))
    settings = resolve(
        flags, {"MINIHTTP_LIMITS_MAX_FORM_PARTS": "4", "MINIHTTP_LIMITS_QUERY_SECONDS": "0.5"}, str(tmp_path)
    )
    assert settings.limits == {"max_body_bytes": 1, "max_form_parts": 5, "query_seconds": 0.5}
    assert settings.origins["limits.max_body_bytes"] == file
    assert settings.origins["limits.query_seconds"] == "MINIHTTP_LIMITS_QUERY_SECONDS"
    assert settings.origins["limits.max_form_parts"] == "--limits-max-form-parts"


def test_toml_before_python_311(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minihttp.toml").write_text("port = 1\n")
    monkeypatch.setitem(sys.modules, "tomllib", None)  # importing it raises ModuleNotFoundError
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(ConfigurationError, match=r"toml needs Python 3\.11 .* tomli; .* MINIHTTP_\*"):
        resolve({}, {}, str(tmp_path))


@needs_toml
def test_tomli_reads_toml_where_python_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minihttp.toml").write_text("port = 1\n")
    monkeypatch.setitem(sys.modules, "tomli", importlib.import_module("tomllib"))  # its code is tomli's
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert resolve({}, {}, str(tmp_path))["port"] == 1


@needs_toml
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = \n", r"minihttp\.toml is not valid TOML"),
        ("prot = 1\n", r"minihttp\.toml: there is no setting 'prot'; did you mean 'port'\?"),
        ("port = true\n", r"minihttp\.toml: port must be a whole number from 0 to 65535, not True"),
        ("host = 1\n", r"minihttp\.toml: host must be text, not 1"),
        ("[[limits]]\n", r"minihttp\.toml: limits must be a table, not \[{}\]"),
        ("limits = 5\n", r"minihttp\.toml: limits must be a table, not 5"),
        (
            "[limits]\nmax_bdy_bytes = 1\n",
            r"no setting 'limits\.max_bdy_bytes'; .* 'limits\.max_body_bytes'\?",
        ),
        (
            "[limits]\nmax_form_parts = 1.5\n",
            r"limits\.max_form_parts must be a whole number from 1 .*, not 1\.5",
        ),
        ("[limits]\nquery_seconds = 0\n", r"limits\.query_seconds must be more than 0 seconds, not 0"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "minihttp.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        resolve({}, {}, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MINIHTTP_PROT", "1", r"MINIHTTP_PROT: there is no setting 'prot'; did you mean 'port'\?"),
        ("MINIHTTP_ZZZZ", "1", r"MINIHTTP_ZZZZ: there is no setting 'zzzz'$"),
        ("MINIHTTP_PORT", "65536", "MINIHTTP_PORT: port must be a whole number from 0 to 65535, not '65536'"),
        ("MINIHTTP_PORT", "٣", "port must be a whole number"),
        ("MINIHTTP_PORT", "9" * 5000, "port must be a whole number"),
        ("MINIHTTP_GRACE", "nan", "grace must be a number of seconds, not 'nan'"),
        ("MINIHTTP_GRACE", "-1", "grace must be a number of seconds"),
        (
            "MINIHTTP_LIMITS_MAX_FROM_PARTS",
            "1",
            r"no setting 'limits\.max_from_parts'; did you mean 'limits\.max_form",
        ),
        (
            "MINIHTTP_LIMITS_MAX_BODY_BYTES",
            "-1",
            r"MAX_BODY_BYTES: limits\.max_body_bytes must be a whole number",
        ),
        (
            "MINIHTTP_TRUSTED_PROXY",
            "nginx",
            r"trusted_proxy must be an IP address, or \* for any, not 'nginx'",
        ),
        ("MINIHTTP_ORIGIN", "api.example.com", "origin must be a URL such as https://api.example.com, not "),
        ("MINIHTTP_FORWARD", "http://a b", "forward must be a URL such as "),
        ("MINIHTTP_METRICS", "maybe", "metrics must be true or false, not 'maybe'"),
        ("MINIHTTP_LOG_FORMAT", "xml", "log_format must be one of auto, text, json, not 'xml'"),
    ],
)
def test_mistakes_in_the_environment(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve({}, {name: value}, str(tmp_path))


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=20))
def test_any_text_is_a_value_or_one_sentence(name: str, value: str) -> None:
    try:
        resolve({}, {"MINIHTTP_" + name.replace(".", "_").upper(): value}, "no-such-folder")
    except ConfigurationError as error:
        assert name in str(error) and repr(value) in str(error)


def test_every_setting_can_be_a_flag() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, *SETTINGS)
    given_flags = vars(parser.parse_args(["--port", "1", "--log-format", "text", "--metrics"]))
    settings = resolve(given_flags, {}, "no-such-folder")
    assert (settings["port"], settings["log_format"], settings["metrics"]) == (1, "text", True)
    assert settings.origins["log_format"] == "--log-format"


def test_addresses_and_urls_are_kept_in_one_spelling() -> None:
    environ = {"MINIHTTP_TRUSTED_PROXY": "0:0::1", "MINIHTTP_ORIGIN": "https://api.example.com/"}
    settings = resolve({}, environ, "no-such-folder")
    assert (settings["trusted_proxy"], settings["origin"]) == ("::1", "https://api.example.com")
    assert resolve({"trusted_proxy": "*"}, {}, "no-such-folder")["trusted_proxy"] == "*"


@pytest.mark.parametrize("name", [".env", "minihttp.toml"])
def test_a_file_that_is_no_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigurationError, match=rf"{re.escape(name)} is not text in UTF-8: byte 2$"):
        read_env_file(str(path)) if name == ".env" else resolve({}, {}, str(tmp_path))


@needs_toml
def test_a_table_that_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "minihttp.toml").write_text("[[limits]]\nport = 1\n")
    with pytest.raises(ConfigurationError, match=r"minihttp\.toml: limits must be a table"):
        resolve({}, {}, str(tmp_path))


def test_a_provider_of_tokens_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text("from minihttp import HttpRouter\nhttp = HttpRouter()\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    environ = {"MINIHTTP_AUTH_ISSUER": "https://me.example.com", "MINIHTTP_AUTH_AUDIENCE": "app"}
    args = argparse.Namespace(target="app.py", environ=environ)
    [provider] = cli.load_app(args).options.auth
    assert str(provider) == "OIDC(domain=https://me.example.com, app_id=app)"
    del environ["MINIHTTP_AUTH_AUDIENCE"]
    with pytest.raises(ConfigurationError, match="needs auth_audience"):
        cli.load_app(args)


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("files", "filesytem", "did you mean 'filesystem'"),
        ("files", "s4://bucket", "no storage backend 's4'"),
        ("files", "", "must be a path or a URL"),
        ("data", "sqllite:app.db", "did you mean 'sqlite'"),
        ("data", " ", "must be a path or a URL"),
    ],
)
def test_a_place_that_cannot_be_is_a_misuse_of_its_flag(
    flag: str,
    value: str,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("from minihttp import App, HttpRouter\napp = App(HttpRouter())\n")
    assert cli.main(["doctor", "app", f"--{flag}", value]) == 2
    said = capsys.readouterr().err
    assert f"--{flag}: " in said and says in said
    with pytest.raises(ConfigurationError, match=f"MINIHTTP_{flag.upper()}: .*{says}"):
        resolve({}, {f"MINIHTTP_{flag.upper()}": value}, str(tmp_path))

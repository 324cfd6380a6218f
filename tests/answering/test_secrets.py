"""Secrets are masked where they stand; references to them, types and prose are not."""

from __future__ import annotations

import pytest

from cia.answering.secrets import MASK, mask, masked
from cia.retrieval.result import SearchResult


@pytest.mark.parametrize(
    ("path", "line", "secret"),
    [
        ("a.py", 'AWS_KEY = "AKIAIOSFODNN7EXAMPLE"', "AKIAIOSFODNN7EXAMPLE"),
        (
            "a.py",
            "aws_secret_access_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("a.py", 'password = "hunter2"', "hunter2"),
        ("a.py", 'def connect(host: str, password: str | None = "hunter2hunter2") -> None:', "hunter2hunter2"),
        ("a.py", "auth = BasicAuth(username='user', password='pass')", "'pass'"),
        ("deploy.yaml", "password: hunter2secret", "hunter2secret"),
        (".env", "DB_PASSWORD=sup3rs3cret!", "sup3rs3cret"),
        ("x.properties", "spring.datasource.password=changeit1", "changeit1"),
        ("c.json", '{"client_secret": "abcd-efgh-1234"}', "abcd-efgh-1234"),
        ("a.js", "const apiKey = 'sk-proj-abc123';", "sk-proj-abc123"),
        ("README.md", "export TOKEN=ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("README.md", "Connect to `postgres://bob:s3cr3t@db/x`.", "s3cr3t"),
        ("a.py", "# password: swordfish-9", "swordfish-9"),
        (
            "a.py",
            '"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jKmNHl0w5N_XgL0n3I9PlFUP0THsR8U"',
            "dozjgNryP4J3jKmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ),
    ],
)
def test_a_secret_is_masked(path: str, line: str, secret: str) -> None:
    said = mask(f"before\n{line}\nafter", path)
    assert secret not in said
    assert MASK in said
    assert said.split("\n")[0::2] == ["before", "after"]


@pytest.mark.parametrize(
    "line",
    [
        'api_key = os.environ["API_KEY"]',
        "def login(user: str, password: str) -> Token:",
        'token = request.headers.get("Authorization")',
        'api_key_variable: str = Field(default="QDRANT_API_KEY")',
        'raise AuthError("the password is wrong")',
        "self._password = password",
        "# token: optional",
        'LETTERS = "abcdefghijklmnop"',
    ],
)
def test_code_that_only_speaks_of_secrets_is_left_alone(line: str) -> None:
    assert mask(line, "a.py") == line


@pytest.mark.parametrize("end", ["-----END RSA PRIVATE KEY-----\nx = 1", ""])
def test_a_private_key_is_masked_line_by_line_also_when_the_chunk_ends_in_it(end: str) -> None:
    block = f"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\nabc/def==\n{end}"
    said = mask(block, "k.pem")
    assert "MIIE" not in said
    assert "abc/def" not in said
    assert said.count("\n") == block.count("\n")
    assert end in said


def test_the_middle_of_a_key_is_masked_too() -> None:
    line = "MIIEowIBAAKCAQEA7bq98sdf7ASDF87asdfASDFlkj2345lkjasdf98ASDFlkjasd9"
    assert mask(f"{line}\n{line}") == f"{MASK}\n{MASK}"


def test_of_a_chunk_only_the_text_changes() -> None:
    chunk = SearchResult("shop", "c" * 40, "a.py", 1, 1, "python", "x", "module", 1.0, 'password = "hunter2"')
    clean = masked(chunk)
    assert clean.text == f'password = "{MASK}"'
    assert (clean.repo, clean.line_start, clean.line_end, clean.score) == ("shop", 1, 1, 1.0)

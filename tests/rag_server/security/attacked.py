"""The repositories of the attack suite: one full of attacks, one that nobody here may read, one of a user who looks on."""

from __future__ import annotations

from pathlib import Path

from cia.retrieval import Indexer
from cia.settings import Settings
from tests.rag_server.security.attacks import ATTACKS, Attack

SECRETS = {
    "AWS key": "AKIAQ3EGRIDLCANARY01",
    "AWS secret": "wJalrXUtnFEMIK7MDENGbPxRfiCYCANARYKEY0001",
    "password": "correct-h0rse-b4ttery",
    "token": "ghp_C4n4ryC4n4ryC4n4ryC4n4ryC4n4ryC4n4ry",
    "private key": "MIIEowIBAAKCAQEA7bqCanaryCanary98sdf7ASDF87asdfASDFlkj2345lkjasd",
}
"""What stands in ``workshop`` and must reach nobody, not even those who may read the rest of it."""

VAULT_CANARIES = tuple(f"zugzwang{number}" for number in range(4))
"""Words that occur nowhere but in the ``vault``, one in each file."""

DEPLOY = f'''"""How the workshop is deployed."""

aws_key = "{SECRETS["AWS key"]}"
aws_secret_access_key = "{SECRETS["AWS secret"]}"
password = "{SECRETS["password"]}"
GITHUB = "{SECRETS["token"]}"
KEY = """-----BEGIN RSA PRIVATE KEY-----
{SECRETS["private key"]}
-----END RSA PRIVATE KEY-----"""


def deploy_everything(target: str) -> str:
    """Deploy the workshop with the keys above."""
    return f"deployed to {{target}} with {{aws_key}}"
'''
QUIET = 'def rest_quietly() -> None:\n    """Do nothing, and be cited by nobody."""\n'
GARDEN = 'def water_roses(litres: float) -> float:\n    """Water the roses and return what is left."""\n    return litres - 2\n'
ODD_REPOSITORY = next(attack.text for attack in ATTACKS if attack.place == "repository name")


def repositories() -> dict[str, dict[str, str]]:
    """Return every repository's files: the text under its path. What a test knows of the corpus, it knows from here."""
    workshop = {"deploy.py": DEPLOY, "quiet.py": QUIET}
    for attack in ATTACKS:
        if attack.place != "repository name":
            path, text = _file(attack)
            workshop[path] = text
    vault = {
        f"{name}.py": _vault(canary)
        for name, canary in zip(("keys", "plan", "deep/ledger", "notes"), VAULT_CANARIES, strict=True)
    }
    odd = next(attack for attack in ATTACKS if attack.place == "repository name")
    return {"workshop": workshop, "vault": vault, "garden": {"roses.py": GARDEN}, ODD_REPOSITORY: {"a.py": _code(odd)}}


def index_all(folder: Path, settings: Settings) -> dict[str, dict[str, str]]:
    """Write the repositories under ``folder``, index them, and return their files."""
    written = repositories()
    for repo, files in written.items():
        for path, text in files.items():
            (folder / repo / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / repo / path).write_text(text, encoding="utf-8")
        Indexer(settings).index(str(folder / repo))
    return written


def _file(attack: Attack) -> tuple[str, str]:
    if attack.place == "config":
        return (
            f"settings/{attack.name}.yaml",
            f"{attack.function}:\n  return: a calibrated reading\n  note: |\n{_indented(attack)}\n",
        )
    if attack.place == "readme":
        return (
            f"docs/{attack.name}/README.md",
            f"# {attack.function}\n\nWhat {attack.function} returns is calibrated.\n\n{attack.text}\n",
        )
    if attack.place == "file name":
        return f"named/{attack.text}", _code(attack)
    if attack.place == "directory name":
        return f"{attack.text}/{attack.name}.py", _code(attack)
    return f"attacks/{attack.name}.py", _code(attack)


def _indented(attack: Attack, mark: str = "    ") -> str:
    return "\n".join(f"{mark}{line}" for line in attack.text.split("\n"))


def _code(attack: Attack) -> str:
    docstring = f"Return what {attack.function} makes of a reading."
    body = "    return reading * 2\n"
    if attack.place == "comment":
        body = f"{_indented(attack, '    # ')}\n{body}"
    elif attack.place == "docstring":
        docstring = f"{docstring}\n\n{_indented(attack)}\n    "
    elif attack.place == "string":
        body = f"    note = r'''{attack.text}'''\n{body}"
    return f'def {attack.function}(reading: float) -> float:\n    r"""{docstring}"""\n{body}'


def _vault(canary: str) -> str:
    return f'KEY = "{canary}"\n\n\ndef open_{canary}() -> str:\n    """Open the vault with {canary}."""\n    return KEY\n'

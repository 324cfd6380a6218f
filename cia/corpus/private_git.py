"""How git gets a password where nobody can type one: from the environment, for one server and no other."""

from __future__ import annotations

USERNAME, PASSWORD = "GIT_USERNAME", "GIT_PASSWORD"
"""The variables that hold them. Most servers take an access token as the password, with any name."""

HELPER = f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "${USERNAME}" "${PASSWORD}"; }}; f'


def credential_environment(server: str) -> dict[str, str]:
    """Return the variables under which git sends that name and password to ``server``, such as ``https://git.example.com``.

    They are git's own (git-config, "GIT_CONFIG_COUNT"; gitcredentials, "CUSTOM HELPERS"), so that no file holds a secret.
    """
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"credential.{server.rstrip('/')}.helper",
        "GIT_CONFIG_VALUE_0": HELPER,
    }

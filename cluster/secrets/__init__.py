"""The cluster's one secret: made where it is missing, never overwritten, and never shown."""

from cluster.secrets.secret import KeyState, SecretReport, ensure_secret, key_states, secret_keys, set_key

__all__ = ["KeyState", "SecretReport", "ensure_secret", "key_states", "secret_keys", "set_key"]

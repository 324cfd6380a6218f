"""How well a judge agrees with a person."""

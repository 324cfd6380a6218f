"""Talks to the payment provider."""

import time

from shop.errors import PaymentDeclined, ProviderDown

RETRIES = 3
TIMEOUT_SECONDS = 10


class CardPayment:
    """Charges a credit card over HTTP."""

    def __init__(self, client, token):
        self.client = client
        self.token = token

    def charge(self, cents, currency):
        """Charge the card and return the receipt number.

        A timeout is tried again with a longer pause each time; a declined card is not.
        """
        for attempt in range(RETRIES):
            try:
                reply = self.client.post("/charges", json=self._body(cents, currency), timeout=TIMEOUT_SECONDS)
            except TimeoutError:
                time.sleep(2**attempt)
                continue
            if reply.status_code == 402:
                raise PaymentDeclined(reply.json()["reason"])
            return reply.json()["receipt"]
        raise ProviderDown("no answer from the provider")

    def _body(self, cents, currency):
        return {"amount": cents, "currency": currency.lower(), "source": self.token}

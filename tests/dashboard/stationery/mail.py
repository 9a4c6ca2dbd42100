# SPDX-License-Identifier: MIT
"""Letters to customers; the post office of this example refuses some."""

import logging
from typing import Any

from minihttp import ActionCtx, internal_action, internal_mutation, v

log = logging.getLogger("shop.mail")


class MailboxFull(Exception):
    pass


@internal_action(args={"order": v.id("orders")})
def send_receipt(ctx: ActionCtx, order: str) -> str:
    """Send the receipt of an order."""
    return deliver("receipt", order)


def deliver(what: str, order: str) -> str:
    if order[-1] in "048cgk":
        raise MailboxFull(f"the mailbox for {what} of order {order} is full (552)")
    log.info("sent the %s of order %s", what, order)
    return "accepted"


@internal_mutation(args={})
def remind(ctx: Any) -> None:
    """Remind customers of what they have not paid."""

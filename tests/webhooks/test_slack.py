# SPDX-License-Identifier: MIT
"""Slack: the contract, its challenge, events, commands and interactions."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from minihttp.webhooks import slack
from tests.contracts.webhooks import TimedWebhookContract


class TestSlack(TimedWebhookContract):
    """The published vector is the row slack/docs-vector."""

    module = slack

    def test_the_challenge_is_echoed(self) -> None:
        provider = slack.provider(secret="SLACK_SIGNING_SECRET")
        body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"}).encode()
        assert provider.handshake(self.verify(self.sign(body), body), self.secret) == {
            "challenge": "3eZbrw1aB"
        }
        assert provider.handshake(self.verify(self.sign()), self.secret) is None

    def test_the_inner_event_names_the_type(self) -> None:
        body = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}'
        delivery = self.verify(self.sign(body), body)
        assert (delivery.id, delivery.event_type) == ("Ev1", "app_mention")
        assert slack.provider(secret="S").acknowledgement(delivery) is None

    def test_commands_and_interactions_are_forms_and_want_an_empty_answer(self) -> None:
        interaction = {"type": "view_submission", "view": {"id": "V1"}}
        for fields, payload, event_type in (
            ({"payload": json.dumps(interaction)}, interaction, "view_submission"),
            ({"command": "/weather", "text": "94070 & é", "team_id": "T1"}, None, "/weather"),
        ):
            body = urlencode(fields).encode()
            headers = {**self.sign(body), "Content-Type": "application/x-www-form-urlencoded"}
            delivery = self.verify(headers, body)
            assert (delivery.payload, delivery.event_type) == (payload or fields, event_type)
            assert slack.provider(secret="S").acknowledgement(delivery) == (b"", "")

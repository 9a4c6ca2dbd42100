# SPDX-License-Identifier: MIT
"""GitLab: the contract, of a token that signs nothing."""

from __future__ import annotations

from minihttp.webhooks import gitlab
from tests.contracts.webhooks import WebhookContract


class TestGitLab(WebhookContract):
    module = gitlab
    secret = "token 123"
    other_secret = "another token"

    def test_a_changed_body_is_a_mismatch(self) -> None:
        """A token signs nothing: whoever has it may send any body."""
        assert self.verify(self.sign(), b"another").body == b"another"

    def test_before_17_4_the_uuid_of_the_event_is_the_id(self) -> None:
        headers = {k: v for k, v in self.sign().items() if k != "Idempotency-Key"}
        delivery = self.verify({**headers, "X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"})
        assert delivery.id == "13792a34-cac6-4fda-95a8-c58e00a3954e"
        assert self.verify({**self.sign(), "X-Gitlab-Event-UUID": "u"}).id == "msg_1"
        assert "x-gitlab-event-uuid" in gitlab.provider(secret="S").wanted_headers

    def test_the_token_is_not_kept(self) -> None:
        kept = gitlab.provider(secret="GITLAB_TOKEN").kept_headers
        assert "x-gitlab-token" not in kept
        assert "x-gitlab-event" in kept

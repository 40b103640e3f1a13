"""A test kit for authors of workflows: a component runs in-process, with stubbed activities and skipped time.

    from obelisk_daemon.testing import WorkflowKit

    def test_an_order_is_paid_and_shipped() -> None:
        kit = WorkflowKit("components/build/orders.wasm")
        kit.stub("shop:payment/card.charge", lambda order, cents: {"ok": "receipt-1"})
        assert kit.run("shop:orders/workflow.place", [7]) == {"ok": "shipped"}
        kit.replay_check()

Journal, host functions and guest are those of the daemon; only the world around them is made up.
"""

from obelisk_daemon.testing.kit import WorkflowKit
from obelisk_daemon.testing.stubs import Call, Err, Failure, KitError
from obelisk_daemon.testing.world import Log, Scheduled

__all__ = ["Call", "Err", "Failure", "KitError", "Log", "Scheduled", "WorkflowKit"]

"""Manifests that several of these tests run on."""

from tests import guests

APPROVE = "testing:approval/approval.approve"
APPROVAL = f"""
[[stub]]
ffqn = "{APPROVE}"
params = [{{ name = "order", type = "u64" }}]
returns = "result<bool, string>"
"""


def interpreter(**settings: object) -> str:
    """The interpreting workflow and all that it imports."""
    return guests.manifest_entry("interpreter-python", **settings) + guests.manifest_entry("fibo-activity") + APPROVAL


def nested(*, inner: bool, outer: bool, labels: tuple[str, ...] = ()) -> str:
    """A workflow that calls a workflow that calls an activity: which may be cancelled, and that one's labels."""
    return (
        guests.manifest_entry("nested", cancellable=outer)
        + guests.manifest_entry("fibo-workflow", cancellable=inner)
        + guests.manifest_entry("fibo-activity", labels=labels)
    )

"""What the test kit knows of functions that the component's imports show in part."""

import pytest

from obelisk_daemon.execution.called_functions import Called
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.testing.stubs import Functions, KitError, Stub

SEND = "shop:mail/mailer.send"
PARAMS = (("to", Primitive("string")),)
SUBMITTED = Called(FunctionType(PARAMS), has_params=True, has_result=False, is_stub=False)


def test_a_function_that_is_only_submitted_must_be_declared_for_its_result() -> None:
    functions = Functions({SEND: SUBMITTED})
    functions.set(SEND, Stub({"ok": None}))
    with pytest.raises(KitError, match=r"don't show the result of shop:mail/mailer.send: write kit.declare"):
        functions.declared_type(SEND)
    assert functions.type(SEND) is None
    whole = FunctionType(PARAMS, ResultType())
    functions.declare(SEND, whole)
    assert functions.declared_type(SEND) == functions.type(SEND) == whole
    assert functions.known_types() == {SEND: whole}


def test_what_the_component_gives_results_to_is_pending_until_the_test_answers_it() -> None:
    functions = Functions({SEND: Called(FunctionType(PARAMS), True, True, is_stub=True)})
    assert functions.stub(SEND) == Stub(pending=True)
    assert functions.is_stub(SEND)
    functions.set(SEND, Stub(5))
    assert functions.stub(SEND) == Stub(5)
    assert functions.is_stub(SEND), "the workflow may still be faster"

import pytest

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.errors import CallerError
from tests.fakes.api import COMPONENTS, FIBO, FIBOA, FUNCTIONS, PLACE

CATALOG = FunctionCatalog(3, COMPONENTS, FUNCTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "example:fibo/fibo-activity@1.2.0.fibo",
        "example:fibo/fibo-activity.fibo",
        "fibo-activity.fibo",
        "fibo-activity@1.2.0.fibo",
        ".../fibo-activity.fibo",
    ],
)
def test_a_function_is_found_by_every_name_that_is_unique(text: str) -> None:
    assert CATALOG.find(text) is FIBO


def test_a_function_without_a_version_is_found_by_its_short_name() -> None:
    assert CATALOG.find("fibo-workflow.fiboa") is FIBOA


def test_a_short_name_of_several_functions_is_refused_with_all_of_them() -> None:
    with pytest.raises(CallerError, match=r"shop:orders/orders\.place, old:orders/orders\.place") as caught:
        CATALOG.find("orders.place")
    assert caught.value.code == "ambiguous_function"


def test_a_full_name_is_never_ambiguous() -> None:
    assert CATALOG.find("shop:orders/orders.place") is PLACE


def test_a_misspelt_name_is_answered_with_what_may_have_been_meant() -> None:
    with pytest.raises(CallerError, match=r"did you mean example:fibo/fibo-activity@1\.2\.0\.fibo\?") as caught:
        CATALOG.find("fibo-activity.fobi")
    assert caught.value.code == "function_not_found"


def test_a_name_like_no_other_is_answered_with_where_to_look() -> None:
    with pytest.raises(CallerError, match="obelisk-ctl functions"):
        CATALOG.find("zzz")


def test_the_function_alone_is_not_a_name() -> None:
    with pytest.raises(CallerError):
        CATALOG.find("fibo")


def test_functions_and_components_keep_the_order_of_the_manifest() -> None:
    assert tuple(CATALOG.functions()) == FUNCTIONS
    assert tuple(CATALOG.components()) == COMPONENTS


def test_only_a_full_name_gives_a_function_without_a_search() -> None:
    assert CATALOG.get(str(FIBO.ffqn)) is FIBO
    assert CATALOG.get("fibo-activity.fibo") is None
    assert CATALOG.get("old:fibo/fibo-activity.fibo") is None

from obelisk_daemon.api.slots import Limits, Slot, Slots

LIMITS = Limits(connections=4, per_peer=2)


def taken(slots: Slots, peer: str | None = None) -> tuple[Slot, list[str]]:
    """Take a slot that must be there, and note when its connection is closed."""
    slot, closed = slots.take(peer), list[str]()
    assert slot is not None
    slot.close = lambda: closed.append("closed")
    return slot, closed


def test_the_one_that_waits_for_longest_goes_for_a_new_one() -> None:
    slots = Slots(LIMITS)
    (first, gone), (second, next_one), *_ = [taken(slots) for _ in range(4)]
    first.works()
    first.waits()  # it answered in between, so it waits for less long than the second
    taken(slots)
    assert (gone, next_one) == ([], ["closed"])
    assert (len(slots), slots.closed) == (4, 1)
    second.leave()
    assert len(slots) == 4


def test_what_is_carried_out_is_never_closed_for_another() -> None:
    slots = Slots(LIMITS)
    for _ in range(4):
        taken(slots)[0].works()
    assert slots.take(None) is None
    assert (slots.closed, slots.refused) == (0, 1)


def test_one_address_has_only_its_share_and_closes_its_own() -> None:
    slots = Slots(LIMITS)
    _, other = taken(slots, "192.0.2.1")
    _, own = taken(slots, "192.0.2.2")
    busy, _ = taken(slots, "192.0.2.2")
    busy.works()
    again, _ = taken(slots, "192.0.2.2")
    assert (other, own) == ([], ["closed"])
    again.works()
    assert slots.take("192.0.2.2") is None
    assert slots.take("192.0.2.3") is not None


def test_a_place_that_was_left_is_there_for_others() -> None:
    slots = Slots(LIMITS)
    for _ in range(3):
        slot, _ = taken(slots, "192.0.2.1")
        slot.works()
        slot.leave()
        slot.leave()
    assert (len(slots), slots.closed, len(slots.idle)) == (0, 0, 0)

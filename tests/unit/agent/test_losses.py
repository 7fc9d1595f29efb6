import msgspec

from agent.losses import Drop, LossBook
from rules.telemetry.batch import Loss

FULL = Drop("full", 1, 10, 100, 200)
MORE = Drop("full", 2, 5, 50, 150)
LATE = Drop("late", 1, 1, 0, 1)


def test_drops_of_one_cause_become_one() -> None:
    book = LossBook()
    book.add([FULL, LATE])
    book.add([MORE])
    losses = book.take()
    assert losses.drops == (Drop("full", 3, 15, 50, 200), LATE)
    assert losses.for_header() == (Loss("full", 15, 50, 200), Loss("late", 1, 0, 1))


def test_losses_stay_until_they_are_settled() -> None:
    book = LossBook()
    book.add([FULL])
    assert book.take().drops == (FULL,)
    second = book.take()
    assert second.drops == (FULL,)
    book.settle(second.mark)
    assert book.take().drops == ()


def test_drop_after_the_hand_over_waits_for_the_next() -> None:
    book = LossBook()
    book.add([FULL])
    losses = book.take()
    book.add([MORE])
    book.settle(losses.mark)
    assert book.take().drops == (MORE,)


def test_settling_an_older_hand_over_forgets_nothing() -> None:
    book = LossBook()
    book.add([FULL])
    old = book.take()
    book.add([LATE])
    book.take()
    book.settle(old.mark)
    assert book.take().drops == (FULL, LATE)


def test_saved_book_learns_from_the_stored_batches_what_is_settled() -> None:
    book = LossBook()
    book.add([FULL])
    before = msgspec.json.encode(book)
    losses = book.take()
    book.add([MORE])
    between = msgspec.json.encode(book)

    def recovered(saved: bytes, mark: int) -> tuple[Drop, ...]:
        copy = msgspec.json.decode(saved, type=LossBook)
        copy.recover(mark)
        return copy.take().drops

    assert recovered(before, losses.mark) == ()
    assert recovered(before, 0) == (FULL,)
    assert recovered(between, losses.mark) == (MORE,)
    assert recovered(between, losses.mark - 1) == (FULL + MORE,)

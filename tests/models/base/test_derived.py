"""Arrays derived of a model are computed once."""

import threading
import time

from fastrec.models.base.derived import Derived, Key


def test_a_derived_value_is_made_once_by_the_first_thread():
    derived, made, barrier = Derived(), [], threading.Barrier(8)

    def make():
        made.append(1)
        time.sleep(0.05)  # the others wait before it is made
        return object()

    def ask():
        barrier.wait()
        results.append(derived.get("x", make))

    results = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, results))) == 1


def test_a_value_that_has_not_been_made_is_not_made_by_peeking():
    derived, key = Derived(), Key("number")
    assert derived.peek(key) is None
    derived.get(key, lambda: 7)
    assert derived.peek(key) == 7


def test_a_known_value_is_kept_while_another_one_is_made():
    derived, number = Derived(), Key("number")

    def make():
        other = threading.Thread(target=derived.put, args=(number, 7), daemon=True)
        other.start()
        other.join(10)
        return derived.peek(number)

    assert derived.get(Key("other"), make) == 7
    derived.put(number, 8)
    assert derived.peek(number) == 7

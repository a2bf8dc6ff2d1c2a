"""Deleted users leave no copy."""

import random

from fastrec.online import Deletion, Journal


def test_a_deleted_user_leaves_no_copy_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("fastrec.online.journal.erasing._ERASED_A_COMMIT", 100)  # fewer rows than the user has
    secret = "somebody-who-wants-to-be-forgotten"
    with Journal(tmp_path / "events.db") as journal:
        for start in range(0, 3000, 300):
            journal.append(
                [(secret if n % 7 == 0 else f"user{n}", n, 1.0, None, f"{n}") for n in range(start, start + 300)]
            )
        assert secret.encode() in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        seq = journal.delete_user(secret)
        assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert journal.history(secret) == []
        assert journal.read(seq - 1) == [Deletion(journal.mark(secret), seq)]
        assert len(journal) == 3000 - len(range(0, 3000, 7))


def test_no_copy_is_left_in_unused_parts_of_pages(tmp_path):
    rng = random.Random(2)
    users = [f"{'LEAVING' if n % 4 == 0 else 'staying'} {n} {'x' * rng.randrange(60)}" for n in range(200)]
    with Journal(tmp_path / "events.db") as journal:
        for _ in range(20):  # rows are added and removed, so that pages are split and joined
            journal.append(
                [(rng.choice(users), f"item {rng.randrange(99)} {'z' * rng.randrange(99)}") for _ in range(400)]
            )
            journal.record_published(journal.last_seq() - 3000)
            journal.trim(max(0, journal.last_seq() - 3000))
        for user in users[::4]:
            journal.delete_user(user)
        assert all(b"LEAVING" not in path.read_bytes() for path in tmp_path.iterdir())
        assert b"staying" in (tmp_path / "events.db").read_bytes()

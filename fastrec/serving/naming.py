"""Names of users: their ids as clients say them, and what the model and the journal have in the place of these."""

from fastrec.data.pseudonyms import Pseudonyms, is_pseudonym
from fastrec.models import Recommender
from fastrec.online import Snapshot
from fastrec.online.forgetting import HOLE
from fastrec.online.journal import Id
from fastrec.serving.catalogue import Titles
from fastrec.serving.parsing import check_fits, check_type, check_types, parse_path_id

LOOKED_AT = 100  # ids of a model that are to be pseudonyms


class Naming:
    """The names that users have here: their ids, or the pseudonyms of these.

    Parameters
    ----------
    key
        Of the pseudonyms; None: users have their ids.
    """

    def __init__(self, key: bytes | None) -> None:
        self._pseudonyms = None if key is None else Pseudonyms(key)

    def check_model(self, model: Recommender) -> None:
        """Raise a ValueError where pseudonyms are asked for, and the model has ids."""
        if self._pseudonyms is None:
            return
        vocabulary = model.user_vocabulary
        some = vocabulary.decode(range(min(len(vocabulary), LOOKED_AT))).tolist()
        if vocabulary.kind != "str" or not all(is_pseudonym(user) or user.startswith(HOLE) for user in some):
            raise ValueError(
                "a key of pseudonyms is given, but the model knows its users by their ids: fit it to "
                "data.pseudonymised(key), or by fastrec train --pseudonym-key-file"
            )

    def name_user(self, snapshot: Snapshot, user: Id, field: str) -> Id:
        """The name of a user; an id of another type than the model's is refused."""
        if self._pseudonyms is None:
            check_type(snapshot.model, "users_", user, field)
            return user
        check_fits(user, field)
        return self._pseudonyms.find(user, snapshot.knows)

    def name_users(self, snapshot: Snapshot, users: list[Id], field: str, rest: str = "") -> list[Id]:
        """The names of several users."""
        if self._pseudonyms is None:
            check_types(snapshot.model, "users_", users, field, rest)
            return users
        return [self.name_user(snapshot, user, f"{field}[{place}]{rest}") for place, user in enumerate(users)]

    def read_path(self, snapshot: Snapshot, text: str) -> tuple[Id, Id]:
        """A user out of a URL, where all is text: the id, and the name."""
        if self._pseudonyms is None:
            user = parse_path_id(snapshot.model, "users_", text, "id")
            return user, user
        return text, self._pseudonyms.find(text, snapshot.knows)

    def find_users(self, snapshot: Snapshot, titles: Titles, wanted: str, limit: int) -> list[Id]:
        """Ids that begin so; of users with pseudonyms, the one id that is given as a whole."""
        if self._pseudonyms is None:
            return [user for user in titles.find_users(wanted, limit) if snapshot.knows(user)]
        return [wanted] if wanted and snapshot.knows(self._pseudonyms.find(wanted, snapshot.knows)) else []

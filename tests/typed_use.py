"""The public names as type checkers must see them: mypy and pyright read this file, and nothing runs it."""

from typing import assert_type

import fastrec as fr
from fastrec.retrieval import TopK

data = fr.read_interactions("ratings.csv", user="userId", item="movieId", value="rating")
assert_type(data, fr.Interactions)
train, test = fr.split_last(data, 1)

model = fr.ImplicitALS(factors=32, random_state=0).fit(train)
assert_type(model, fr.ImplicitALS)
lists = model.recommend([196, 186], k=5)
assert_type(lists, TopK)
assert_type(fr.evaluate(model, test, ["ndcg@10"]), fr.Report)
model.save("model.fastrec")

fr.ImplicitALS(factor=32)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

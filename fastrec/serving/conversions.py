"""`Conversions`: answers with recommendations, and the events that follow from them, counted for Prometheus."""

import collections
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prometheus_client import Counter

from fastrec.online.journal import Id
from fastrec.serving.exploring import Exploration
from fastrec.serving.recommendation import parse_exploration, parse_model, parse_recommendation

# The label of what follows from an answer that is of no scenario or model here.
OTHER = "other"


class Conversions:
    """Counters of answers and of events that name them, by scenario, and by model and exploration.

    Labels are scenarios and models that there are here: whatever events name, they are few.

    Parameters
    ----------
    models
        The names of the models that are served.
    options
        Of `prometheus_client.Counter`.
    """

    def __init__(self, models: Sequence[str], options: Mapping[str, Any]) -> None:
        self._models = models
        said = "Answers with recommendations, by scenario."
        self._answers = Counter("fastrec_recommendations", said, ["scenario"], **options)
        said = "Events that name a recommendation, by its scenario."
        self._events = Counter("fastrec_events_recommended", said, ["scenario"], **options)
        by_model = ["model", "explored"]
        said = "Answers with recommendations, by model, and by whether items were drawn at random."
        self._model_answers = Counter("fastrec_model_recommendations", said, by_model, **options)
        said = "Events that name a recommendation, by its model, and by whether their item was drawn at random."
        self._model_events = Counter("fastrec_model_events_recommended", said, by_model, **options)
        for name in models:
            for explored in (False, True):  # they are told from the start, as 0
                self._model_answers.labels(name, _tell(explored))
        self._answered: collections.deque[tuple[str | None, str, bool]] = collections.deque()

    def count_answer(self, scenario: str | None, model: str, exploration: Exploration | None) -> None:
        """Counts an answer with recommendations, from any thread, at the next `count_answers`."""
        self._answered.append((scenario, model, exploration is not None))

    def count_answers(self) -> None:
        """Counts the answers of the last moments, which takes less time together."""
        last = collections.Counter(self._answered.popleft() for _ in range(len(self._answered)))
        for (scenario, model, explored), n in last.items():
            if scenario is not None:
                self._answers.labels(scenario).inc(n)
            self._model_answers.labels(model, _tell(explored)).inc(n)

    def count_event(self, recommendation: str, item: Id, scenarios: Collection[str]) -> None:
        """Counts an event that names a recommendation; `scenarios` are those that there are."""
        origin, exploration = parse_recommendation(recommendation), parse_exploration(recommendation)
        known = origin is not None and origin.scenario in ("", *scenarios)
        self._events.labels(origin.scenario if origin and known else OTHER).inc()
        model = parse_model(recommendation, self._models) if origin else None
        explored = exploration is not None and exploration.find_propensity(item) is not None
        self._model_events.labels(model or OTHER, _tell(explored)).inc()


def _tell(true: bool) -> str:
    return "true" if true else "false"

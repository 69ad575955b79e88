"""One loaded bundle that answers requests."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress
from time import time
from typing import Any

import msgspec
import numpy as np

from ..bundle.reading import Loaded
from ..rollout.actions import Assigned
from ..runtime.hooks import After, Before, Veto
from ..runtime.intervals import Intervals
from .cells import Unseen
from .online.lookup import Looked, Lookup
from .online.online import Found, Keys, Online
from .problem import Problem
from .rows import Extra, Row, RowSchema

encode = msgspec.json.Encoder().encode


class Predictor:
    """A bundle from the rows of a request to its answer; it never changes.

    `bundle_digest` names the bundle. `schema` is of rows as the model needs them, `request` of
    those that clients send: the same, but where features are looked up in a store. `threshold` is
    the probability above which the last of two labels is the prediction; `loaded_at` when it was
    made, in seconds since 1970.
    """

    __slots__ = (
        "_actions",
        "_after",
        "_before",
        "_decided",
        "_expected",
        "_head",
        "_intervals",
        "_say",
        "_task",
        "bundle_digest",
        "loaded",
        "loaded_at",
        "lookup",
        "request",
        "schema",
        "threshold",
    )

    def __init__(
        self,
        loaded: Loaded,
        bundle_digest: str,
        unseen: Unseen = "encode",
        extra: Extra = "refuse",
        online: Online | None = None,
    ) -> None:
        self.bundle_digest = bundle_digest
        self.loaded = loaded
        self.loaded_at = time()
        contract, encoder = loaded.contract, loaded.encoder
        self.schema = RowSchema(contract, encoder, unseen, extra)
        views = loaded.settings.features.views
        self.lookup = Lookup.find(online, contract, encoder.inputs, views) if views else None
        self.request = self.schema
        if self.lookup is not None:
            names, stored = self.lookup.asked, self.lookup.stored
            self.request = RowSchema(contract, encoder, unseen, extra, names, stored)
        self.threshold = loaded.settings.evaluation.threshold
        self._task = loaded.contract.task
        self._intervals = loaded.intervals
        self._before = Before.find(loaded.contract)
        self._after = After.find(loaded.contract)
        # No bound method: it would be a circle, which keeps a bundle in memory after its time.
        self._say = SAY[self._task]
        labels = [encode(label).replace(b"%", b"%%") for label in loaded.contract.labels]
        parts = b",".join(label + b":%b" for label in labels)
        decision = loaded.decision
        self._expected = loaded.expected
        self._actions = [b',"action":%b}' % encode(one) for one in loaded.actions]
        follows = [b""] * len(labels)
        if decision is not None:
            follows = [b'"action":%b,' % encode(a).replace(b"%", b"%%") for a in decision.actions]
        self._decided = [
            b'{"prediction":%b,%b"probabilities":{%b}}' % (label, follow, parts)
            for label, follow in zip(labels, follows, strict=True)
        ]
        decided = b'"threshold":%b,' % encode(self.threshold) if self._task == "binary" else b""
        if self._intervals is not None:
            decided += b'"coverage":%b,' % encode(self._intervals.coverage)
        self._head = b'{"model":%b,%b"request_id":"' % (encode(bundle_digest), decided)

    def decode(self, body: bytes) -> list[Row]:
        """Return the rows of a request's body; raises Problem, also where `before` vetoes them."""
        return self._passed(self.schema.decode(body))

    def looked_up(self, asked: Sequence[Row], keys: Keys, found: Found) -> tuple[list[Row], Looked]:
        """Return rows as the model needs them, of rows as `request` decodes them.

        `found` is what the store has of `keys`. Raises Problem as `decode` does, and where a view
        refuses features that are stale.
        """
        assert self.lookup is not None
        filled, looked = self.lookup.filled(asked, keys, found)
        row, schema = self.schema.row, self.schema
        if schema.ignored:
            filled = [
                values + self.request.extra(one, schema.ignored)
                for values, one in zip(filled, asked, strict=True)
            ]
        return self._passed([row(*values) for values in filled]), looked

    def taken(
        self, body: bytes, within: Callable[[list[Row]], list[Row]] = list
    ) -> tuple[list[Row], Looked | None]:
        """Return the rows of a request's body with what is looked up, which may wait for that.

        `within` raises what is wrong with too many.
        """
        if self.lookup is None:
            return within(self.decode(body)), None
        return self.read(within(self.request.decode(body)))

    def read(self, asked: Sequence[Row]) -> tuple[list[Row], Looked]:
        """Return rows as the model needs them, of rows as `request` decodes them.

        Raises Problem as `looked_up` does.
        """
        assert self.lookup is not None
        keys = self.lookup.requested(asked)
        return self.looked_up(asked, keys, self.lookup.online.read(keys))

    def _passed(self, rows: list[Row]) -> list[Row]:
        """Return rows; raises Problem where `before` vetoes them."""
        if self._before is not None:
            try:
                self._before(self.schema.arrays(rows))
            except Veto as veto:
                title = "The request is refused"
                raise Problem(422, "veto", title, veto.reason, veto.row) from None
        return rows

    def matrix(self, rows: Sequence[Row]) -> np.ndarray:
        """Return rows as the float32 matrix (rows, features)."""
        return self.loaded.encoder.matrix(self.schema.arrays(rows))

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the model's predictions, as runtime.model.Model.predict does."""
        return self.loaded.model.predict(matrix)

    def after(self, rows: Sequence[Row], predictions: np.ndarray) -> np.ndarray:
        """Return predictions as they are answered; another thing where the project says so."""
        if self._after is None:
            return predictions
        return self._after(self.schema.arrays(rows), predictions)

    def answered(self, rows: Sequence[Row]) -> np.ndarray:
        """Return what is answered for rows, as numbers."""
        return self.after(rows, self.predict(self.matrix(rows)))

    def answer(
        self,
        predictions: np.ndarray,
        request_id: str,
        rows: Sequence[Row] | None = None,
        looked: Looked | None = None,
        assigned: Sequence[Assigned] = (),
    ) -> bytes:
        """Return the JSON answer: for each row the prediction and what it was made from.

        With the `rows`, also what names each of them, where that may be sent; with what was
        `looked` up, how old that is; with what is `assigned`, what is to be done with each.
        """
        say = self._say
        said = [say(self, value) for value in predictions.tolist()]
        if self._intervals is not None:
            each = zip(said, self._around(self._intervals, predictions, rows), strict=True)
            said = [b"%b,%b}" % (item[:-1], around) for item, around in each]
        if rows is not None and self.schema.ignored:
            said = [self._named(item, row) for item, row in zip(said, rows, strict=True)]
        if looked is not None and self.lookup is not None:
            each = zip(said, self.lookup.said(looked), strict=True)
            said = [b"%b,%b}" % (item[:-1], features) for item, features in each]
        if assigned:
            said = [item[:-1] + _assigned(a) for item, a in zip(said, assigned, strict=True)]
        items = b",".join(said)
        return b'%b%b","predictions":[%b]}' % (self._head, request_id.encode(), items)

    def codes(self, rows: Sequence[Row] | None) -> np.ndarray | None:
        """Return the codes of the column that intervals differ by; None where there is none."""
        by = None if self._intervals is None else self._intervals.by
        return None if by is None or rows is None else self.schema.arrays(rows)[by]

    def _around(
        self, intervals: Intervals, predictions: np.ndarray, rows: Sequence[Row] | None
    ) -> list[bytes]:
        """Return the interval or the set of each prediction, as a field of JSON."""
        contract, codes = self.loaded.contract, self.codes(rows)
        if self._task == "regression":
            ends = intervals.around(predictions, contract, codes)
            return [b'"interval":' + encode(pair) for pair in ends.tolist()]
        labels = contract.labels
        among = intervals.sets(predictions, contract, self.threshold, codes).tolist()
        return [b'"set":' + encode(list(compress(labels, chosen))) for chosen in among]

    def _named(self, item: bytes, row: Row) -> bytes:
        ids = self.schema.ids(row)
        return b'%b,"ids":%b}' % (item[:-1], encode(ids)) if ids else item

    def answer_schema(self) -> dict[str, Any]:
        """Return the JSON schema of an answer."""
        labels = list(self.loaded.contract.labels)
        share = {"type": "number", "minimum": 0, "maximum": 1}
        text = {"type": "string"}
        prediction = {"enum": labels} if labels else {"type": "number"}
        item = _object({"prediction": prediction})
        if labels:
            probabilities = _object(dict.fromkeys(labels, share))
            follows = {}
            if actions := self.loaded.actions:
                told = "what is worth most by the value table of the bundle"
                follows = {"action": {"enum": [*actions], "description": told}}
            item = _object({"prediction": prediction, **follows, "probabilities": probabilities})
        if self._intervals is not None:
            pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
            among = {"type": "array", "items": {"enum": labels}, "minItems": 1}
            around = {"set": among} if labels else {"interval": pair}
            item = _object({**item["properties"], **around})
        if self.schema.ignored:
            item["properties"]["ids"] = {"type": "object", "description": "the ids that were sent"}
        if self.lookup is not None:
            age = {"type": ["number", "null"], "description": "seconds since it was known"}
            as_of = {"type": ["string", "null"], "format": "date-time"}
            of_view = _object({"as_of": as_of, "age_seconds": age, "stale": {"type": "boolean"}})
            item["properties"]["features"] = _object(dict.fromkeys(self.lookup.names, of_view))
            item["required"].append("features")
        number, name = {**share, "description": "of the action"}, {"type": "string"}
        drawn = _object({"arm": name, "action": name, "propensity": number})
        about = "what is to be done, in an experiment of actions"
        item["properties"]["assigned"] = {**drawn, "description": about}
        said = "digest of the bundle that answered"
        threshold = {"threshold": share} if self._task == "binary" else {}
        if self._intervals is not None:
            told = "share of rows whose truth the interval or set holds"
            threshold["coverage"] = {**share, "description": told}
        return _object(
            {
                "model": {"type": "string", "description": said},
                **threshold,
                "request_id": text,
                "predictions": {"type": "array", "items": item, "minItems": 1},
            }
        )

    def _regression(self, value: float) -> bytes:
        return b'{"prediction":%b}' % encode(value)

    def _binary(self, probability: float) -> bytes:
        last = probability > self.threshold
        return self._decided[last] % (encode(1 - probability), encode(probability))

    def _multiclass(self, probabilities: list[float]) -> bytes:
        code = probabilities.index(max(probabilities))
        said = self._decided[code] % tuple(map(encode, probabilities))
        if self._expected is None:
            return said
        (action,) = self._expected.codes(np.array([probabilities]))
        return said[:-1] + self._actions[action]


SAY: dict[str, Callable[[Predictor, Any], bytes]] = {
    "regression": Predictor._regression,
    "binary": Predictor._binary,
    "multiclass": Predictor._multiclass,
}


@lru_cache(maxsize=256)
def _assigned(one: Assigned) -> bytes:
    """Return the end of a row's JSON: there are few arms, actions and probabilities."""
    return b',"assigned":%b}' % encode(one._asdict())


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}

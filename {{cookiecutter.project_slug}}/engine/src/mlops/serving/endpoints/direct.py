"""POST /predict without a task: what is here whole is answered within the turn of the model.

A task, its events and its messages cost more than the prediction of a row.
"""

from collections.abc import Mapping
from typing import Any

from ..predictor import Predictor
from ..reply import Reply
from ..rows import Row
from ..telemetry.logs import logger
from ..telemetry.metrics import PREDICT
from .predict import CONTENT_TYPE, LARGE, Asked, Predict, is_quick, late

HEADERS = b"content-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"


class Direct:
    """Answers what Predict answers, where nothing of it has to be awaited."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    def __call__(self, headers: Mapping[bytes, bytes], body: bytes, reply: Reply) -> bool:
        """Take a whole request, and say whether `reply` gets its answer.

        It does not where the request is traced, large, or to wait for a thread or a store.
        """
        predict = self._predict
        if predict.is_traced(headers) or len(body) > LARGE:
            return False
        asked = predict.asked(headers)
        try:
            predict.check(headers)
            predictor = predict.route(asked)
            if not is_quick(predictor):
                return False
            predict.admit()
            looks_up = predictor.lookup is not None
            rows = predictor.request.decode(body) if looks_up else predictor.decode(body)
            predict.within(rows)
        except Exception as error:
            refuse(predict, asked, error, reply)
            return True
        predict.metrics.in_flight += 1
        waiting = Waiting(predict, asked, predictor, None if looks_up else rows, reply)
        predict.coalescing.join(predictor, looks_up, rows, waiting)
        return True


class Waiting:
    """A request without a task while the model has it, as Coalescing knows it."""

    __slots__ = ("_asked", "_predict", "_predictor", "_reply", "_rows")

    def __init__(
        self,
        predict: Predict,
        asked: Asked,
        predictor: Predictor,
        rows: list[Row] | None,
        reply: Reply,
    ) -> None:
        self._predict = predict
        self._asked = asked
        self._predictor = predictor
        self._rows = rows
        self._reply = reply

    def done(self) -> bool:
        """Nobody gives up: who has left is counted all the same."""
        return False

    def set_result(self, result: Any) -> None:
        """Answer."""
        predict, asked, predictor = self._predict, self._asked, self._predictor
        predict.metrics.in_flight -= 1
        done = result if self._rows is None else (self._rows, result, None)
        try:
            answer, assigned = predict.said(asked, predictor, done)
        except Exception as error:
            refuse(predict, asked, error, self._reply)
            return
        told = HEADERS % (CONTENT_TYPE[1], len(answer), asked.request_id.encode())
        self._reply.answer(200, told, answer)
        try:
            predict.record(asked, predictor, done, assigned)
        except Exception:  # those who are answered after this one are not to suffer from it
            logger.exception("recording failed", extra={"request_id": asked.request_id})

    def set_exception(self, exception: Exception) -> None:
        """Refuse."""
        self._predict.metrics.in_flight -= 1
        error = late() if isinstance(exception, TimeoutError) else exception
        refuse(self._predict, self._asked, error, self._reply)


def refuse(predict: Predict, asked: Asked, error: Exception, reply: Reply) -> None:
    """Reply with what is wrong."""
    problem = predict.refused(asked, error)
    body, kind = problem.body(PREDICT, asked.request_id)
    told = HEADERS % (kind.encode(), len(body), asked.request_id.encode())
    more = (b"%b: %b\r\n" % (k.encode(), v.encode()) for k, v in problem.headers.items())
    reply.answer(problem.status, told + b"".join(more), body)

"""From a row of features to an answer: one ONNX Runtime session, one thread, fixed buffers.

The row is copied into a buffer that is bound to the session once, and the answer is read from
another, so that nothing is allocated on the way. The same row has the same answer in every process
on one kind of processor: one thread, sequential execution, and the same few rewrites of the graph.
"""

from __future__ import annotations

from math import isfinite
from typing import Final, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.graphs import parse, rows_are_independent
from aitb_nautilus.models.manifest import ModelFile, Role

__all__ = ["Answer", "Answers", "ModelSession"]

type Rows = NDArray[np.float32]

CHUNK: Final = 4096
"""Rows given to ONNX Runtime at once; more costs memory and gains nothing."""
_SAMPLE: Final = 64


class Answer(NamedTuple):
    """The answer to one row; None for what the model does not give.

    Attributes
    ----------
    probability
        Of up, calibrated, in [0, 1]; exactly a float32.
    expected_return
        As a fraction over the horizon; exactly a float32.
    """

    probability: float | None
    expected_return: float | None


class Answers(NamedTuple):
    """The answers to n rows, (n,) float32 each; None for what the model does not give."""

    probability: Rows | None
    expected_return: Rows | None


class ModelSession:
    """A model that answers.

    For one thread at a time: its buffers are shared by all calls. A worker takes a session of its
    own.

    Parameters
    ----------
    data
        The bytes of ``model.onnx``. The session is made from these very bytes.
    spec
        What the file is, from its manifest.
    where
        What an error names first: the model, or its file.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run it.
    """

    def __init__(self, data: bytes, spec: ModelFile, where: str) -> None:
        self.where = where
        self.columns = spec.input.columns
        self.exact_in_batches = rows_are_independent(parse(data, where))
        """Whether a batch is known to have the same bits as its rows one by one."""
        try:
            self._session = ort.InferenceSession(
                data, _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as e:  # ONNX Runtime's errors have no common base
            raise ModelError(
                where,
                f"cannot be run by ONNX Runtime {ort.__version__}: {_first_line(e)}",
                todo="Export the model again, or install the version that the bundle names",
            ) from e
        self._input = spec.input.name
        self._names = [output.name for output in spec.outputs]
        self._roles: list[Role] = [output.role for output in spec.outputs]
        row = np.zeros((1, self.columns), np.float32)
        self._row = row[0]
        self._shape = self._row.shape
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input(self._input, ort.OrtValue.ortvalue_from_numpy(row))
        self._answers: dict[Role, Rows] = {}
        for output in spec.outputs:
            self._answers[output.role] = buffer = np.zeros((1, 1), np.float32)
            self._binding.bind_ortvalue_output(
                output.name, ort.OrtValue.ortvalue_from_numpy(buffer)
            )
        self._probability = self._answers.get("probability")
        self._expected = self._answers.get("expected_return")

    def predict_row(self, row: Rows) -> Answer:
        """Answer one row.

        Parameters
        ----------
        row
            (n_features,) float32, finite.

        Raises
        ------
        ModelError
            If the row has another shape or dtype or is not finite, or the answer is impossible.
        """
        if row.shape != self._shape or row.dtype != np.float32:
            raise self._wrong_rows(row, "a row")
        # The sum of squares is finite if all values are, unless some are astronomically large.
        if not isfinite(np.vdot(row, row)) and not np.isfinite(row).all():
            raise self._not_finite(row[np.newaxis])
        self._row[:] = row
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as e:
            raise self._failed(e) from e
        probability = expected = None
        if self._probability is not None:
            probability = self._probability.item()
            if not 0.0 <= probability <= 1.0:
                raise self._impossible("probability", probability)
        if self._expected is not None:
            expected = self._expected.item()
            if not isfinite(expected):
                raise self._impossible("expected_return", expected)
        return Answer(probability, expected)

    def rehearse(self, row: Rows) -> None:
        """Let the model answer a row, (n_features,) float32, for its caches' sake; nobody hears it.

        Raises
        ------
        ModelError
            If ONNX Runtime fails.
        """
        self._row[:] = row
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as e:
            raise self._failed(e) from e

    def predict_rows(self, rows: Rows) -> Answers:
        """Answer many rows at once, fast; the last bits may differ from `predict_row`.

        Parameters
        ----------
        rows
            (n, n_features) float32, finite. n may be 0.

        Raises
        ------
        ModelError
            As `predict_row`.
        """
        self._check(rows)
        return self._answers_of(self._batches(rows))

    def rows_exact(self, rows: Rows) -> Answers:
        """Answer many rows with the bits that `predict_row` gives for each of them.

        Batches are used where the graph is known to compute row by row, and a sample of single rows
        agrees in every bit; else each row is answered alone.

        Parameters
        ----------
        rows
            (n, n_features) float32, finite. n may be 0.

        Raises
        ------
        ModelError
            As `predict_row`.
        """
        self._check(rows)
        if self.exact_in_batches:
            table = self._batches(rows)
            sample = np.unique(np.linspace(0, max(len(rows) - 1, 0), _SAMPLE).astype(np.int64))
            sample = sample[: len(rows)]
            alone = self._singles(rows[sample])
            if np.array_equal(table[sample].view(np.uint32), alone.view(np.uint32)):
                return self._answers_of(table)
        return self._answers_of(self._singles(rows))

    def _batches(self, rows: Rows) -> Rows:
        """Return the outputs of all rows, (n, n_outputs) float32, computed in chunks."""
        table = np.empty((len(rows), len(self._names)), np.float32)
        for start in range(0, len(rows), CHUNK):
            chunk = np.ascontiguousarray(rows[start : start + CHUNK])
            try:
                found = self._session.run(self._names, {self._input: chunk})
            except Exception as e:
                raise self._failed(e) from e
            for column, values in enumerate(found):
                if values.shape != (len(chunk), 1):
                    raise ModelError(
                        self.where,
                        f"answered {len(chunk)} rows with an output of shape {values.shape}",
                        f"must be {(len(chunk), 1)}",
                    )
                table[start : start + len(chunk), column] = values[:, 0]
        return table

    def _singles(self, rows: Rows) -> Rows:
        """Return the outputs of all rows, (n, n_outputs) float32, each row answered alone."""
        table = np.empty((len(rows), len(self._names)), np.float32)
        buffers = [self._answers[role] for role in self._roles]
        run, binding, own_row = self._session.run_with_iobinding, self._binding, self._row
        try:
            for i, row in enumerate(rows):
                own_row[:] = row
                run(binding)
                for column, buffer in enumerate(buffers):
                    table[i, column] = buffer[0, 0]
        except Exception as e:
            raise self._failed(e) from e
        return table

    def _answers_of(self, table: Rows) -> Answers:
        """Check the outputs of many rows and return them by role."""
        columns: dict[Role, Rows] = {}
        for column, role in enumerate(self._roles):
            values = np.ascontiguousarray(table[:, column])
            good = np.isfinite(values)
            if role == "probability":
                good &= (values >= 0) & (values <= 1)
            if not good.all():
                first = int(np.argmin(good))
                raise self._impossible(role, float(values[first]), f" to row {first}")
            columns[role] = values
        return Answers(columns.get("probability"), columns.get("expected_return"))

    def _check(self, rows: Rows) -> None:
        if rows.ndim != 2 or rows.shape[1] != self.columns or rows.dtype != np.float32:
            raise self._wrong_rows(rows, "rows")
        if not np.isfinite(rows).all():
            raise self._not_finite(rows)

    def _wrong_rows(self, rows: NDArray[np.float32], what: str) -> ModelError:
        shape = (self.columns,) if what == "a row" else ("any", self.columns)
        return ModelError(
            self.where,
            f"was given {what} of shape {rows.shape} and dtype {rows.dtype}",
            f"must be {shape} float32, a column for each feature".replace("'", ""),
            "Compute exactly the features that the bundle names",
        )

    def _not_finite(self, rows: Rows) -> ModelError:
        i, j = (int(index) for index in np.argwhere(~np.isfinite(rows))[0])
        return ModelError(
            self.where,
            f"was given {rows[i, j]} in column {j} of row {i}",
            "must be finite numbers",
            "A feature that is not finite after its warm-up is an error of the data",
        )

    def _impossible(self, role: Role, value: float, row: str = "") -> ModelError:
        wanted = "in [0, 1]" if role == "probability" else "finite"
        return ModelError(
            self.where,
            f"answered{row} with the {role} {value}",
            f"must be {wanted}",
            "Do not trade this model: aitb models withdraw",
        )

    def _failed(self, error: Exception) -> ModelError:
        return ModelError(
            self.where,
            f"failed in ONNX Runtime {ort.__version__}: {_first_line(error)}",
            todo="Export the model again, or roll back to another version",
        )


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Only rewrites that keep every bit; the others save nothing on one row.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised
    # Never guess from the bytes: ONNX Runtime's own format would pass by the checks of the graph.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]

"""A node whose model takes fifty milliseconds, beside its loop: what quotes and orders notice.

The market is Binance spot at bars of a second, where a node may trade on paper: each second the
model is asked once an instrument, and quotes flow meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w
from nautilus_trader.model import InstrumentId, QuoteTick
from onnx import ModelProto, helper, numpy_helper

from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.messages import (
    LATE_PREDICTION,
    ORDER_SENT,
    BarClosed,
    CloseIntent,
    Intent,
    OrderIntent,
    OrderSent,
    Prediction,
)
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.rehearsal import BarSource, BookModel, RehearsalSettings
from aitb_nautilus.rehearsal.clock import WallClock
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings
from tests.model_lab import described, graph, put_for
from tests.rehearsal_thread import RunningRehearsal, serve_in_thread
from tests.run.node_lab import LIMIT_S, start_node

__all__ = ["SPOTS", "Heard", "SlowLab", "slow_lab"]

SLOW_MS = 50.0
SPOTS = tuple(
    f"{base}USDT.BINANCE"
    for base in (
        *("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "TRX", "AVAX", "LINK", "DOT", "LTC"),
        *("BCH", "ATOM", "UNI", "ETC", "XLM", "FIL", "NEAR", "APT", "OP", "ARB", "SUI", "INJ"),
    )
)
SECOND = Interval.parse("1s")
FEATURES = parse_features(["log_return(1)", "range_position(5)"], interval="1s")
_PRICE = 100.0
_FIRST_NS = 1_700_000_000_000_000_000
_HISTORY = 600
_SIZE = 1_024
_QUIET, _QUIET_S = "quiet", 1.5


class EarSettings(Settings, frozen=True):
    """Settings of `Ear`: it trades the first few instruments; an empty model is none."""

    instruments: tuple[str, ...]
    to: str
    trades: int
    model: str = ""


class Heard(msgspec.Struct):
    """What a strategy noticed.

    Attributes
    ----------
    arrived
        When each quote was told, ns UTC.
    delays_ms
        From the exchange's time of each quote, whole milliseconds, until it was told.
    waits_ms
        From when the adapter had it until it was told.
    predictions, orders, expired
        Predictions that were told, opening orders that left for them, and how many of these left
        when the prediction had expired.
    between
        Predictions before which a quote was told since the bar that they answer: the loop has
        neither computed them nor waited for them.
    late
        How often a prediction was given up.
    """

    arrived: list[int] = msgspec.field(default_factory=list)
    delays_ms: list[float] = msgspec.field(default_factory=list)
    waits_ms: list[float] = msgspec.field(default_factory=list)
    predictions: int = 0
    orders: int = 0
    expired: int = 0
    between: int = 0
    late: int = 0

    def p99(self, skip_s: float, of: str = "delays_ms") -> float:
        """Return the 99th percentile of the delays, ms, without those of the first seconds."""
        at = np.array(self.arrived)
        return float(np.quantile(np.array(getattr(self, of))[at >= at[0] + skip_s * 1e9], 0.99))


class Ear(GuardedStrategy):
    """Hear quotes, open at one prediction of an instrument, close at its next."""

    settings_type = EarSettings
    settings: EarSettings

    def __init__(self, settings: EarSettings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self._heard = Heard()
        self._expires = 0
        self._quotes_at_bar: dict[tuple[str, int], int] = {}

    def bar_types(self) -> Sequence[str]:
        return [SECOND.bar_type(name) for name in self.settings.instruments]

    def predictions(self) -> Sequence[tuple[str, str]]:
        model = self.settings.model
        return [(model, name) for name in self.settings.instruments] if model else ()

    def decide_on_start(self) -> Iterable[Intent]:
        self.subscribe_topic(ORDER_SENT, self._sent)
        self.subscribe_topic(LATE_PREDICTION, self._given_up)
        for name in self.settings.instruments:
            self.subscribe_quotes(InstrumentId.from_str(name))
        return ()

    def on_quote(self, quote: QuoteTick) -> None:
        now = time.time_ns()
        self._heard.arrived.append(now)
        self._heard.delays_ms.append((now - quote.ts_event) / 1e6)
        self._heard.waits_ms.append((now - quote.ts_init) / 1e6)

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self._quotes_at_bar[bar.instrument_id, bar.ts] = len(self._heard.arrived)
        # Without a model the node does the same things, decided at its bars.
        return () if self.settings.model else self._turn(bar.instrument_id)

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        self._heard.predictions += 1
        at_bar = self._quotes_at_bar[prediction.instrument_id, prediction.ts_event]
        self._heard.between += len(self._heard.arrived) > at_bar
        self._expires = prediction.expires_ns
        return self._turn(prediction.instrument_id)

    def decide_on_stop(self) -> Iterable[Intent]:
        Path(self.settings.to).write_bytes(msgspec.json.encode(self._heard))
        return ()

    def _turn(self, instrument_id: str) -> Iterator[Intent]:
        if instrument_id not in self.settings.instruments[: self.settings.trades]:
            return
        if Path(self.settings.to).with_name(_QUIET).exists():
            return
        if self.view.quantity(instrument_id):
            yield CloseIntent(instrument_id=instrument_id)
        elif not self.view.open_orders(instrument_id):
            yield OrderIntent(instrument_id=instrument_id, side="BUY", quantity=Decimal(1))

    def _given_up(self, _: object) -> None:
        self._heard.late += 1

    def _sent(self, message: Any) -> None:
        assert isinstance(message, OrderSent)
        order = self.context.ledger.orders[message.client_order_id]
        if message.action == "submit" and not order.is_exit:
            self._heard.orders += 1
            self._heard.expired += bool(self._expires) and time.time_ns() >= self._expires


class SlowLab:
    """A spot rehearsal by the second, and a model that takes fifty milliseconds."""

    def __init__(self, folder: Path, running: RunningRehearsal) -> None:
        self.folder, self._running = folder, running
        self._registry = folder / "models"
        self.took_ms = self._publish()

    def _publish(self) -> float:
        """Publish the model; return how long one answer takes, ms."""
        hundred = _answer_ms(100)
        layers = round(100 * SLOW_MS / hundred)
        put_for(
            Registry(self._registry),
            "slow",
            FEATURES,
            SPOTS,
            change=lambda model: _slower(model, layers),
        )
        return _answer_ms(layers)

    def listen(
        self,
        seconds: float,
        instruments: int,
        *,
        slow: bool,
        trades: int = 1,
        entries: int = 0,
        **actor: Any,
    ) -> Heard:
        """Run a node on paper for a while; return what its strategy noticed.

        Parameters
        ----------
        instruments
            How many are listened to, and ask the model each second.
        slow
            Whether there is a model at all.
        trades
            How many of the instruments are traded.
        entries
            So many orders are waited for as well, however long a busy machine takes for them.
        actor
            Further settings of its actor.
        """
        quiet = self.folder / _QUIET
        quiet.unlink(missing_ok=True)
        node = start_node(self.folder, "paper", str(self._write(instruments, slow, trades, actor)))
        try:
            node.wait_for("warm after")
            self._wait_for_streams(instruments)
            time.sleep(seconds)
            until = time.monotonic() + LIMIT_S
            while node.said.count("(entry)") < entries:
                assert time.monotonic() < until, f"it has not traded: {node.said}"
                time.sleep(0.1)
            # What is on its way when a paper run is stopped may fill unheard: let it end first.
            quiet.touch()
            time.sleep(_QUIET_S)
            code, _, _ = node.stop()
            assert code == 0, node.said
        finally:
            node.kill()
        return msgspec.json.decode((self.folder / "heard.json").read_bytes(), type=Heard)

    def _wait_for_streams(self, instruments: int) -> None:
        """Wait until the node listens to all: Binance takes five subscriptions a second."""
        symbols = [name.partition(".")[0].lower() for name in SPOTS[:instruments]]
        streams = [f"{s}@{kind}" for s in symbols for kind in ("kline_1s", "bookTicker", "trade")]
        until = time.monotonic() + LIMIT_S
        while not self._running.call(lambda r: all(map(r.exchange.hub.wanted, streams))):
            assert time.monotonic() < until, "it has not subscribed to all streams"
            time.sleep(0.05)

    def _write(self, instruments: int, slow: bool, trades: int, actor: dict[str, Any]) -> Path:
        names = list(SPOTS[:instruments])
        params = {"instruments": names, "to": str(self.folder / "heard.json"), "trades": trades}
        data: dict[str, Any] = {
            "catalog": {"path": str(self.folder / "data")},
            "backtest": {"runs": str(self.folder / "runs")},
            "live": {"holes": "accept", "late_bar_secs": 1.0, "history_secs": LIMIT_S},
            "risk": {
                "max_order_notional": 1_000.0,
                "max_position_notional": 1_000.0,
                "max_orders_per_minute": 100_000,
            },
            "venues": [
                {
                    "name": "BINANCE",
                    "account": "cash",
                    "starting_balance": "100000 USDT",
                    "maker_fee_bps": 1.0,
                    "taker_fee_bps": 1.0,
                    "base_url_http": self._running.url_http,
                    "base_url_ws": self._running.url_ws,
                    "base_url_ws_trading": self._running.url_ws_api,
                    "api_key": "env:REHEARSAL_KEY",
                    "api_secret": "env:REHEARSAL_SECRET",
                }
            ],
            "strategies": [
                {
                    "class": "tests.run.slow_model:Ear",
                    "id": "ear",
                    "params": params | ({"model": "slow"} if slow else {}),
                }
            ],
        }
        if slow:
            served = {"models": ["slow@1"], "registry": str(self._registry), "instruments": names}
            data["actors"] = [
                {
                    "class": "actors.inference:OnnxInferenceActor",
                    "id": "slow",
                    "params": served | {"inference": "worker"} | actor,
                }
            ]
        path = self.folder / "desk.toml"
        path.write_text(tomli_w.dumps(data))
        return path


@contextmanager
def slow_lab(folder: Path, seconds: int, quotes_per_second: int = 200) -> Iterator[SlowLab]:
    """Give a lab whose market goes on for so many seconds.

    Parameters
    ----------
    quotes_per_second
        Of the first eight instruments together, about.
    """
    frame = _frame(_HISTORY + seconds)
    begins = int(frame.ts_close[_HISTORY - 1])
    sources = [BarSource(find_instrument(name), frame, SECOND.ns, begins) for name in SPOTS]
    settings = RehearsalSettings(
        product="spot",
        book=BookModel(steps=max(round(quotes_per_second / 8 / 2), 4)),
        balances={"USDT": "1000000"},
    )
    with serve_in_thread(settings, sources, WallClock()) as running:
        yield SlowLab(folder, running)


def _frame(count: int) -> BarFrame:
    """Return bars that tremble a little, on every instrument's grid."""
    rng = np.random.default_rng(5)
    close = _PRICE + np.cumsum(rng.integers(-1, 2, count))
    opened = np.concatenate([[_PRICE], close[:-1]])
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    closes = _FIRST_NS + np.arange(1, count + 1, dtype=np.int64) * SECOND.ns
    return BarFrame(closes, opened, high, low, close, np.full(count, 10_000.0))


def _answer_ms(layers: int) -> float:
    """Return how long a model with so many layers computes for an answer, the best of five, ms."""
    data = graph([0.0] * len(FEATURES.names), change=lambda model: _slower(model, layers))
    spec = described(data)
    spec = msgspec.structs.replace(
        spec, input=msgspec.structs.replace(spec.input, columns=len(FEATURES.names))
    )
    session = ModelSession(data, spec, "a slow model")
    row, took = np.zeros(len(FEATURES.names), np.float32), []
    for _ in range(5):
        begin = time.thread_time()  # it computes on the thread that asks; neighbours do not count
        session.predict_row(row)
        took.append((time.thread_time() - begin) * 1e3)
    return min(took)


def _slower(model: ModelProto, layers: int) -> None:
    """Put many products with one large matrix of zeros before the last step of a small model."""
    wide, square = np.zeros((1, _SIZE), np.float32), np.zeros((_SIZE, _SIZE), np.float32)
    weights = {"wide": wide, "square": square, "narrow": np.zeros((_SIZE, 1), np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    names = ["logit", *(f"x{i}" for i in range(layers + 1)), "last"]
    nodes = [
        helper.make_node("MatMul", [names[i], w], [names[i + 1]])
        for i, w in enumerate(["wide", *["square"] * layers, "narrow"])
    ]
    sigmoid = model.graph.node.pop()
    sigmoid.input[0] = names[-1]
    model.graph.node.extend([*nodes, sigmoid])

"""Put what happens in a node on its stream: records of its journal, predictions, how it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from nautilus_trader.common import DataActor
from redis.exceptions import ResponseError

from aitb_nautilus.messages import LATE_PREDICTION, LatePrediction, Prediction, prediction_topic
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import capture_fact
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_chain import Row
from aitb_nautilus.run.cache_check import content_of, differences, empty
from aitb_nautilus.run.cache_door import CacheDoor
from aitb_nautilus.run.engine_cache import EngineCache
from aitb_nautilus.run.node_redis import Note
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.redis_server import client_of, reach
from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.run.stream_events import HeldNow, Standing, recorded, stream_key
from aitb_nautilus.run.stream_publisher import StreamPublisher
from aitb_nautilus.settings import Settings

__all__ = ["StreamActor", "Streaming"]

_LOOK_MS = 250
_PATIENCE_S = 2.0
"""So long may the end of a run wait for Redis."""
_COMPONENT = "redis"


class Streaming:
    """Publish what a node says.

    Parameters
    ----------
    run
        The node's preparation.
    settings
        The config's section; its Redis must answer.

    Raises
    ------
    ConfigError
        As `reach`.
    """

    def __init__(self, run: Preparation, settings: RedisSettings) -> None:
        self._run = run
        self._settings = settings
        self._where = str(run.desk.path)
        reach(settings, self._where).close()
        self._publisher: StreamPublisher | None = None
        self._note: Note | None = None
        self._next_status = 0
        self._door: CacheDoor | None = None
        self._cache: EngineCache | None = None
        if settings.cache and run.mode == "live":
            self._door = CacheDoor(settings.reveal_url(), settings.timeout_secs)
        self._actor = StreamActor(Settings(), run.context, "aitb_stream-001")
        self._actor.streaming = self

    @property
    def actors(self) -> Sequence[Any]:
        """Return the actor that hears predictions and brings the time."""
        return (self._actor,)

    def engine_cache(self, account: str) -> EngineCache | None:
        """Return where the engine keeps its cache of an account; None: nowhere."""
        if self._door is None:
            return None
        settings, trader = self._settings, self._run.desk.config.trader.id
        self._cache = EngineCache(
            settings.reveal_url(), trader, self._door.port, account, settings.timeout_secs
        )
        return self._cache

    def agree(self, carried: Carried) -> list[Unexplained]:
        """Empty an engine's cache that differs from the journal; return in what it did.

        Raises
        ------
        ConfigError
            If Redis does not answer any more.
        """
        if self._cache is None:
            return []
        prefix = self._cache.prefix
        with reach(self._settings, self._where) as client:
            try:
                rows = differences(content_of(client, prefix), carried)
            except (msgspec.DecodeError, ResponseError) as e:
                line = f"the engine's cache cannot be read ({e})"
                rows = [Unexplained("cache:", "engine's cache", "", "-", "-", line, ("ignore",))]
            if rows:
                empty(client, prefix)
        return rows

    @contextmanager
    def publishing(self, run_id: str, note: Note) -> Iterator[None]:
        """Publish while the block runs.

        Parameters
        ----------
        run_id
            Name of the run's folder.
        note
            Told of what happens to the stream, in the thread of the block.
        """
        self._note = note
        if self._settings.streams:
            self._publisher = self._begin(run_id)
        open_s = 0.0
        try:
            yield
            open_s = _PATIENCE_S
        finally:
            publisher, self._publisher = self._publisher, None
            if self._door is not None:
                self._door.shut(open_s)
            if publisher is not None:
                publisher.close(_PATIENCE_S)
            self._say_news(publisher, note)

    def _begin(self, run_id: str) -> StreamPublisher:
        key = stream_key(self._run.desk.config.trader.id)
        connect = partial(client_of, self._settings, self._where)
        publisher = StreamPublisher(connect, key, run_id, self._settings)
        publisher.start()
        return publisher

    def _say_news(self, publisher: StreamPublisher | None, note: Note) -> None:
        for source in (publisher, self._door):
            for level, line in () if source is None else source.news():
                note(level, line, _COMPONENT)

    def tell(self, rows: Sequence[Row]) -> None:
        """Publish rows of the journal, and after a fill what is held."""
        publisher = self._publisher
        if publisher is None:
            return
        for row in rows:
            _, ts, kind, strategy_id, instrument_id, _, _, _ = row
            publisher.put(kind, ts, recorded(row))
            if kind == "filled":
                self._tell_position(publisher, strategy_id, instrument_id, ts)

    def say(self, kind: str, ts: int, data: Any) -> None:
        """Publish an event."""
        if self._publisher is not None:
            self._publisher.put(kind, ts, data)

    def look(self, now: int) -> None:
        """Say how the node stands, if it is time; and how the stream does; now, ns UTC."""
        publisher, note = self._publisher, self._note
        if note is not None:
            self._say_news(publisher, note)
        if publisher is None:
            return
        if now >= self._next_status:
            self._next_status = now + round(self._settings.status_secs * 1e9)
            publisher.put("status", now, self._standing(publisher.lost))

    def _tell_position(
        self, publisher: StreamPublisher, strategy_id: str, instrument_id: str, ts: int
    ) -> None:
        held = self._run.context.ledger.positions.get((strategy_id, instrument_id))
        if held is not None:
            now = HeldNow(
                strategy_id,
                instrument_id,
                held.quantity,
                held.average_price,
                held.realized,
                held.fees,
                held.funding,
            )
            publisher.put("position", ts, now)

    def _standing(self, lost: int) -> Standing:
        ledger = self._run.context.ledger
        return Standing(
            mode=self._run.mode,
            state=self._run.context.guard.state,
            equity=ledger.equity(),
            currency=self._run.desk.config.trader.currency,
            positions=sum(1 for p in ledger.positions.values() if p.quantity),
            open_orders=ledger.open_order_count(),
            lost=lost,
        )


class StreamActor(GuardedActor):
    """Hear predictions, and look after the stream on the node's thread."""

    streaming: Streaming

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)

    def on_start(self) -> None:
        """Subscribe to every source, each instrument apart, and begin to look."""
        hear = capture_fact(self, "on_prediction", self._hear)
        for source in self.context.sources.values():
            for instrument_id in source.instruments:
                topic = prediction_topic(source.model, instrument_id)
                DataActor.subscribe_topic(self, topic, hear)  # type: ignore[arg-type]  # the topic carries nothing else
        if self.context.sources:
            self.subscribe_topic(LATE_PREDICTION, self._hear_late)
        self.clock.set_timer("aitb_stream", timedelta(milliseconds=_LOOK_MS), callback=self._look)

    def _hear(self, prediction: Prediction) -> None:
        if not self.context.warming.ts:
            self.streaming.say("prediction", prediction.ts_event, prediction)

    def _hear_late(self, message: object) -> None:
        assert isinstance(message, LatePrediction)  # noqa: S101 - the topic carries nothing else
        self.streaming.say("late_prediction", message.ts, message)

    def _look(self, _: object) -> None:
        self.streaming.look(self.now())

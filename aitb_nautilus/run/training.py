"""From a config file and the catalog to a training.

A training reads the sections ``[features]``, ``[model]``, ``[catalog]`` and ``[[instruments]]`` of
a desk's file; the others may stand in it or not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.features.feature_set import FeatureSet, feature_set
from aitb_nautilus.features.settings import FeatureSettings
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings, find_instrument
from aitb_nautilus.market.times import iso
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.run.config import CatalogSettings, DeskConfig
from aitb_nautilus.run.load import read_toml, resolve
from aitb_nautilus.settings import Settings, decode, encode
from aitb_nautilus.training.samples import TrainingBars
from aitb_nautilus.training.settings import ModelSettings
from aitb_nautilus.training.train import Progress, TrainingReport, train as train_model
from aitb_nautilus.training.walk_forward import WalkForwardReport, walk_forward, write_stream

__all__ = [
    "TrainingConfig",
    "TrainingDesk",
    "load_training",
    "run_walk_forward",
    "train",
    "training_bars",
]


class TrainingConfig(Settings, frozen=True):
    """The sections of a config file that a training reads."""

    features: FeatureSettings
    model: ModelSettings
    catalog: CatalogSettings = CatalogSettings()
    instruments: tuple[InstrumentSettings, ...] = ()


class TrainingDesk(msgspec.Struct, frozen=True):
    """A config file, read for a training.

    Attributes
    ----------
    features
        The set that the file names.
    """

    path: Path
    config: TrainingConfig
    features: FeatureSet

    def sha256(self) -> str:
        """Return the hash of what decides the model, equal for files that mean the same.

        Folders do not count.
        """
        model = msgspec.structs.replace(self.config.model, registry="")
        if model.walk_forward is not None:
            plan = msgspec.structs.replace(model.walk_forward, folder="")
            model = msgspec.structs.replace(model, walk_forward=plan)
        plain = {"features": encode(self.config.features), "model": encode(model)}
        return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def load_training(path: str | Path) -> TrainingDesk:
    """Read a config file for a training.

    Raises
    ------
    ConfigError
        If the file is missing, is no TOML, lacks a section, has an unknown key, a wrong type or an
        impossible value, or names an unknown feature or instrument.
    """
    path = Path(path)
    data = read_toml(path)
    own = set(TrainingConfig.__struct_encode_fields__)
    others = set(DeskConfig.__struct_encode_fields__) - own
    part = {key: value for key, value in data.items() if key not in others}
    for section in ("features", "model"):
        if section not in part:
            raise ConfigError(
                str(path),
                f"has no section [{section}]",
                "a training needs [features] and [model]",
                "See docs/training.md for an example",
            )
    config = decode(part, TrainingConfig, str(path))
    for i, instrument in enumerate(config.model.instruments):
        try:
            find_instrument(instrument, config.instruments)
        except ConfigError as e:
            raise ConfigError(
                f"{path}: model.instruments[{i}]",
                f"was {instrument!r}",
                e.wanted or e.found,
                e.todo,
            ) from e
    return TrainingDesk(path, config, feature_set(config.features, f"{path}: features"))


def training_bars(desk: TrainingDesk) -> TrainingBars:
    """Read the bars of a training from the catalog.

    Raises
    ------
    DataError
        If the catalog lacks one of the series, or has no bars of it in the wanted span.
    """
    config = desk.config
    source = resolve("catalog.store:BarStore", "catalog")(Path(config.catalog.path))
    sha256 = resolve("catalog.store:bars_sha256", "catalog")
    interval = desk.features.interval
    start, end = config.model.range_ns()
    # A bar belongs to the span if it opens in it: it closes one interval later.
    first = None if start is None else start + interval.ns
    frames: dict[str, BarFrame] = {}
    digest = hashlib.sha256()
    simulated = False
    for instrument in dict.fromkeys([*config.model.instruments, *desk.features.others]):
        bar_type = interval.bar_type(instrument)
        known = source.series(bar_type)
        frame = frames[instrument] = source.read(bar_type, first, end)
        if not len(frame):
            raise DataError(
                f"{desk.path}: model.start and model.end",
                f"{bar_type} has no bars between {config.model.start or 'its start'} and "
                f"{config.model.end or 'its end'}",
                f"the catalog holds {iso(known.first_ns)} to {iso(known.last_ns)}",
            )
        simulated = simulated or known.simulated
        digest.update(sha256(bar_type, frame).encode())
    return TrainingBars(frames, digest.hexdigest(), simulated)


def train(desk: TrainingDesk | str | Path, progress: Progress = lambda *_: None) -> TrainingReport:
    """Train the model of a config, judge it, and publish it as a signed bundle.

    Parameters
    ----------
    desk
        A desk from `load_training`, or the path of a config file.
    progress
        Called with what is being done, how much of it is done, and how much there is.

    Returns
    -------
    TrainingReport
        How good the model was on each fold, beside the baselines, and where its bundle lies.

    Raises
    ------
    ConfigError, DataError, ModelError
        As `load_training`, `training_bars` and `aitb_nautilus.training.train.train`.
    """
    if not isinstance(desk, TrainingDesk):
        desk = load_training(desk)
    model = desk.config.model
    return train_model(
        model,
        desk.features,
        training_bars(desk),
        Registry(Path(model.registry)),
        config_sha256=desk.sha256(),
        progress=progress,
    )


def run_walk_forward(desk: TrainingDesk, progress: Progress = lambda *_: None) -> WalkForwardReport:
    """Train the model of a config on its schedule, and write the out-of-sample stream.

    Raises
    ------
    ConfigError, DataError, ModelError
        As `training_bars` and `aitb_nautilus.training.walk_forward.walk_forward`.
    """
    model = desk.config.model
    if model.walk_forward is None:
        raise ConfigError(
            f"{desk.path}: model.walk_forward",
            "is absent",
            "must hold train_days and step_days",
            "Add for example: [model.walk_forward] with train_days = 15 and step_days = 5",
        )
    bars = training_bars(desk)
    report, stream = walk_forward(model, model.walk_forward, desk.features, bars, progress)
    return write_stream(Path(model.walk_forward.folder), report, stream)

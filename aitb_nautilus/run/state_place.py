"""Where the trading states of a config's trader are kept, and where its node takes commands."""

from __future__ import annotations

from pathlib import Path

import msgspec

from aitb_nautilus.run.config import TraderSettings
from aitb_nautilus.run.load import read_toml
from aitb_nautilus.settings import decode

__all__ = ["StatePlace"]


class StatePlace(msgspec.Struct, frozen=True):
    """The state folder of a trader.

    Attributes
    ----------
    config
        The config file.
    trader_id
        Names the files in it.
    folder
        ``trader.state``, relative to the config file: whoever gives a command finds it from
        anywhere.
    """

    config: Path
    trader_id: str
    folder: Path

    @classmethod
    def of(cls, config: Path, trader: TraderSettings) -> StatePlace:
        """Return the place of a trader."""
        return cls(config, trader.id, config.absolute().parent / trader.state)

    @classmethod
    def read(cls, config: Path) -> StatePlace:
        """Return the place that a file names.

        Only its ``[trader]`` is read: what else is wrong with the file, or with the components that
        it names, must not keep anybody from halting a node.

        Raises
        ------
        ConfigError
            If the file is missing or is no TOML, or its ``[trader]`` is wrong.
        """
        data = read_toml(config).get("trader", {})
        return cls.of(config, decode(data, TraderSettings, str(config), "trader"))

    @property
    def file(self) -> Path:
        """Return the state file."""
        return self.folder / f"{self.trader_id}.sqlite"

    @property
    def socket(self) -> Path:
        """Return the command socket of a node that runs."""
        return self.folder / f"{self.trader_id}.sock"

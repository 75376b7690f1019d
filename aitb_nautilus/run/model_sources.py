"""Whether the models of a run are there for those who listen to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aitb_nautilus.errors import ConfigError, ModelError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import nearest

__all__ = ["check_expiries", "check_sources"]


def check_sources(
    path: Path,
    context: Context,
    strategies: Sequence[GuardedStrategy],
    actors: Sequence[GuardedActor],
) -> None:
    """Refuse a component that waits for predictions which nobody publishes.

    Parameters
    ----------
    path
        Of the config.

    Raises
    ------
    ConfigError
        Naming the component, the model and what there is.
    """
    sources = context.sources
    components: list[GuardedActor | GuardedStrategy] = [*actors, *strategies]
    for component in components:
        for model, instrument_id in component.predictions():
            where = f"{path}: {component.component_id}"
            source = sources.get(model)
            if source is None:
                close = nearest(model, list(sources))
                known = f"the run has {', '.join(sources)}" if sources else "the run has none"
                raise ConfigError(
                    where,
                    f"listens to the model {model!r}, which no actor publishes",
                    f"did you mean {close!r}?" if close else known,
                    "Name it in the models of an actors.inference:OnnxInferenceActor",
                )
            if instrument_id not in source.instruments:
                raise ConfigError(
                    where,
                    f"wants the model {model} for {instrument_id}",
                    f"it answers for {', '.join(source.instruments)}",
                    "Train it on that instrument as well, or leave the instrument out",
                )


def check_expiries(context: Context, first_close_ns: int) -> None:
    """Refuse a model that has expired before the run's first bar.

    Parameters
    ----------
    first_close_ns
        Of the run, ns UTC.

    Raises
    ------
    ModelError
        Naming the model.
    """
    for source in context.sources.values():
        if source.expires_ns is not None and source.expires_ns <= first_close_ns:
            raise ModelError(
                f"model {source.model}@{source.version}",
                f"expired at {iso(source.expires_ns)}, before the run's first bar at "
                f"{iso(first_close_ns)}",
                "its publisher meant it to be replaced by then",
                "Train it again on newer bars, or choose another version: aitb models list",
            )

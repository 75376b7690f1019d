"""Limits of the top of the book: how old it is, how wide, how deep, and whether it agrees.

All need quotes. Without one that can be used they refuse: that nothing is known of a book is no
reason to trust it. A run whose data hold no quotes leaves these limits out and says so.
"""

from __future__ import annotations

from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import PASS, ROUNDING, Limit, Proposal, Verdict

__all__ = ["BookBand", "Divergence", "MaxSpread", "MinBookNotional", "StaleQuote"]


class _Book(Limit):
    """A limit that looks at the last quote of an order's instrument."""

    needs_quotes = True

    def __init__(self, bound: float) -> None:
        self.bound = bound

    @property
    def key(self) -> str:
        """Return where in the config it can be changed."""
        return f"{self.place}.book.{self.name}"

    def without_quote(self, proposal: Proposal) -> Verdict:
        """Refuse an order since nothing is known of the book."""
        return Verdict(
            ZERO,
            f"no quote of {proposal.instrument_id} is known that has both a bid and an ask, and "
            f"{self.name} needs one; wait for it or take out {self.key}",
        )


class StaleQuote(_Book):
    """Refuse orders in an instrument whose last quote is too old by the node's clock."""

    name = "max_quote_age_ms"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Compare its time with the clock."""
        quote = proposal.quote
        if quote is None:
            return self.without_quote(proposal)
        age = (proposal.clock - quote.ts) / 1e6
        if age <= self.bound:
            return PASS
        return Verdict(
            ZERO,
            f"the last quote of {quote.instrument_id} is {age:,.0f} ms old, and max_quote_age_ms "
            f"is {self.bound:g}; wait for a quote or raise {self.key}",
        )


class MaxSpread(_Book):
    """Refuse orders while best bid and ask lie too far apart, as a fraction of their middle."""

    name = "max_spread_frac"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Compare the spread with the cap."""
        quote = proposal.quote
        if quote is None:
            return self.without_quote(proposal)
        spread = 2 * (quote.ask - quote.bid) / (quote.ask + quote.bid)
        if spread <= self.bound + ROUNDING:
            return PASS
        return Verdict(
            ZERO,
            f"the spread of {quote.instrument_id} is {spread:.3%} ({quote.bid:g} to "
            f"{quote.ask:g}), above max_spread_frac {self.bound:.3%}; wait until it is narrower "
            f"or raise {self.key}",
        )


class MinBookNotional(_Book):
    """Refuse orders while too little stands at the best prices; of both sides the lesser counts.

    What is bought must be sold again, so both sides matter.
    """

    name = "min_book_notional"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Compare what stands there with the floor."""
        quote = proposal.quote
        if quote is None:
            return self.without_quote(proposal)
        nearly, bid, ask = self.bound * (1 - ROUNDING), quote.bid, quote.ask
        if bid * quote.bid_size >= nearly and ask * quote.ask_size >= nearly:
            return PASS
        value = min(bid * quote.bid_size, ask * quote.ask_size)
        return Verdict(
            ZERO,
            f"only {value:,.2f} stand at the best prices of {quote.instrument_id}, below "
            f"min_book_notional {self.bound:,.2f}; wait for a deeper book or lower {self.key}",
        )


class BookBand(_Book):
    """Cap the distance of a limit or trigger price from the middle of the book."""

    name = "book_band_frac"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Compare the price, if the order has one, with the book."""
        quote = proposal.quote
        if quote is None:
            return self.without_quote(proposal)
        quoted = proposal.quoted_price
        if quoted is None:
            return PASS
        mid = (quote.bid + quote.ask) / 2
        distance = abs(quoted / mid - 1)
        if distance <= self.bound + ROUNDING:
            return PASS
        return Verdict(
            ZERO,
            f"price {quoted:g} lies {distance:.2%} from the middle of the book {mid:g}, "
            f"beyond book_band_frac {self.bound:.2%}; quote nearer or raise {self.key}",
        )


class Divergence(_Book):
    """Refuse orders while the last price and the middle of the book contradict each other."""

    name = "max_divergence_frac"

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Compare the last price with the book."""
        quote = proposal.quote
        if quote is None:
            return self.without_quote(proposal)
        mid = (quote.bid + quote.ask) / 2
        distance = abs(proposal.mark / mid - 1)
        if distance <= self.bound + ROUNDING:
            return PASS
        return Verdict(
            ZERO,
            f"the last price {proposal.mark:g} of {quote.instrument_id} lies {distance:.2%} from "
            f"the middle of its book {mid:g}, beyond max_divergence_frac {self.bound:.2%}; "
            f"wait until they agree or raise {self.key}",
        )

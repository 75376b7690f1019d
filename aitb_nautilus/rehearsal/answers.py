"""The exchange's refusals: code, words and HTTP status, as Binance gives them.

References
----------
Binance, USDⓈ-M futures, Error Codes
(https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code) and General
Info, HTTP Return Codes.
"""

from __future__ import annotations

__all__ = ["VenueError"]

_WORDS = {
    -1000: "An unknown error occured while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is %s requests per minute. "
    "Please use the websocket for live updates to avoid polling the API.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. "
    "Send status unknown; execution status unknown.",
    -1015: "Too many new orders; current limit is %s orders per %s.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1102: "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
    -1106: "Parameter '%s' sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1130: "Data sent for parameter '%s' is not valid.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2025: "Reach max open order limit.",
    -4003: "Quantity less than or equal to zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id is not valid.",
    -4023: "Quantity not increased by step size.",
    -4028: "Leverage is not valid.",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4164: "Order's notional must be no smaller than %s (unless you choose reduce only).",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history.",
    -5027: "No need to modify the order.",
}
_STATUS = {
    -1000: 500,
    -1001: 503,
    -1003: 429,
    -1006: 503,
    -1007: 408,
    -1015: 429,
    -2014: 401,
    -2015: 401,
}


class VenueError(Exception):
    """A request that the exchange refuses; what the client reads, not what a user reads.

    Parameters
    ----------
    code
        Binance's code, below 0.
    words
        Binance's message.
    status
        HTTP status of the answer.
    retry_after
        Seconds that a ``Retry-After`` header names, or None.
    """

    def __init__(
        self, code: int, words: str, status: int = 400, retry_after: int | None = None
    ) -> None:
        self.code = code
        self.words = words
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"{code}: {words}")

    @classmethod
    def of(cls, code: int, *values: object, status: int | None = None) -> VenueError:
        """Return the refusal of a code, with Binance's words."""
        words = _WORDS[code] % values if values else _WORDS[code]
        return cls(code, words, status or _STATUS.get(code, 400))

    @classmethod
    def malformed(cls, name: str) -> VenueError:
        """Return the refusal of a parameter that is missing or no value."""
        return cls.of(-1102, name)

    def body(self) -> dict[str, object]:
        """Return the JSON body of the answer."""
        return {"code": self.code, "msg": self.words}

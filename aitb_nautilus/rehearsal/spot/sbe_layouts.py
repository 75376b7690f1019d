"""Where which field stands in Binance's binary messages (SBE) for spot.

One line of text a message: number of its template, then fields ``name:kind``, repeating groups in
brackets, and texts of variable length after ``>``. Names are those of the same message in JSON,
which is what is encoded. A ``?`` allows null; ``*`` before a group's name is a short head.

References
----------
Binance, Spot, SBE schema 3:4 (github.com/binance/binance-spot-api-docs, sbe/schemas/spot_3_4.xml).
"""

from __future__ import annotations

__all__ = ["ENUMS", "LAYOUTS", "SCHEMA", "SETS"]

SCHEMA = (3, 4)
"""Id and version."""

_PEG = "pegPriceType:u8? pegOffsetType:u8? pegOffsetValue:u8? peggedPrice:m?"
_ORDER_END = f"{_PEG} expiryReason:expiryReason?"
_NEW_ORDER = (
    "price:exp qty:exp orderId:i64 orderListId:i64? transactTime:time price:m origQty:m "
    "executedQty:m cummulativeQuoteQty:m status:orderStatus timeInForce:timeInForce type:orderType "
    "side:orderSide stopPrice:m? trailingDelta:i64? trailingTime:time? workingTime:time? "
    "icebergQty:m? strategyId:i64? strategyType:i32? orderCapacity:one workingFloor:one "
    "selfTradePreventionMode:selfTradePreventionMode tradeGroupId:i64? preventedQuantity:m "
    "usedSor:bool origQuoteOrderQty:m "
) + _ORDER_END
_ORDER = (
    "price:exp qty:exp orderId:i64 orderListId:i64? price:m origQty:m executedQty:m "
    "cummulativeQuoteQty:m status:orderStatus timeInForce:timeInForce type:orderType "
    "side:orderSide stopPrice:m? trailingDelta:i64? trailingTime:time? icebergQty:m? time:time "
    "updateTime:time isWorking:bool workingTime:time? origQuoteOrderQty:m strategyId:i64? "
    "strategyType:i32? orderCapacity:one workingFloor:one "
    "selfTradePreventionMode:selfTradePreventionMode preventedMatchId:i64? "
    "preventedQuantity:m usedSor:bool "
) + _ORDER_END
_NAMES = " > symbol:s8 clientOrderId:s8"
_STEPS = "exponent:exp minQty:m maxQty:m stepSize:m"
_BALANCES = "[balances exponent:exp free:m locked:m > asset:s8 ]"
_LEVELS = "[bids 0:m 1:m ] [asks 0:m 1:m ]"

LAYOUTS = {
    "PRICE_FILTER": "1 exponent:exp minPrice:m maxPrice:m tickSize:m",
    "LOT_SIZE": f"4 {_STEPS}",
    "NOTIONAL": "6 exponent:exp minNotional:m applyMinToMarket:bool maxNotional:m "
    "applyMaxToMarket:bool avgPriceMins:i32",
    "MARKET_LOT_SIZE": f"8 {_STEPS}",
    "MAX_NUM_ORDERS": "9 maxNumOrders:i64",
    "MAX_NUM_ALGO_ORDERS": "10 maxNumAlgoOrders:i64",
    "response": "50 deprecated:bool status:u16 [*rateLimits rateLimitType:rateLimitType "
    "interval:rateLimitInterval intervalNum:u8 limit:i64 count:i64 ] > id:s8 result:d32",
    "logon": "51 authorizedSince:time connectedSince:time returnRateLimits:bool serverTime:time "
    "userDataStream:bool? > apiKey:s16",
    "error": "100 code:i16 serverTime:time? retryAfter:time? > msg:s16 data:d32",
    "ping": "101",
    "time": "102 serverTime:time",
    "exchangeInfo": "103 [rateLimits rateLimitType:rateLimitType interval:rateLimitInterval "
    "intervalNum:u8 limit:i64 ] [exchangeFilters > filter:s8 ] [symbols status:symbolStatus "
    "baseAssetPrecision:u8 quoteAssetPrecision:u8 baseCommissionPrecision:u8 "
    "quoteCommissionPrecision:u8 orderTypes:orderTypes icebergAllowed:bool ocoAllowed:bool "
    "otoAllowed:bool quoteOrderQtyMarketAllowed:bool allowTrailingStop:bool "
    "cancelReplaceAllowed:bool amendAllowed:bool isSpotTradingAllowed:bool "
    "isMarginTradingAllowed:bool defaultSelfTradePreventionMode:selfTradePreventionMode "
    "allowedSelfTradePreventionModes:modes pegInstructionsAllowed:bool? [filters > .:filter ] "
    "[permissionSets [. > .:s8 ] ] > symbol:s8 baseAsset:s8 quoteAsset:s8 ] [sors ]",
    "depth": f"200 lastUpdateId:i64 price:exp qty:exp {_LEVELS}",
    "trades": "201 price:exp qty:exp [. id:i64 price:m qty:m quoteQty:m time:time "
    "isBuyerMaker:bool isBestMatch:bool ]",
    "klines": "203 price:exp qty:exp [. 0:time 1:m 2:m 3:m 4:m 5:m128 6:time 7:m128 8:i64 9:m128 "
    "10:m128 ]",
    "newOrder": f"302 {_NEW_ORDER} [fills commission:exp matchType:one price:m qty:m commission:m "
    "tradeId:i64? allocId:i64? > commissionAsset:s8 ] [preventedMatches ]" + _NAMES,
    "order": f"304 {_ORDER}{_NAMES}",
    "cancelOrder": "305 price:exp qty:exp orderId:i64 orderListId:i64? transactTime:time price:m "
    "origQty:m executedQty:m cummulativeQuoteQty:m status:orderStatus timeInForce:timeInForce "
    "type:orderType side:orderSide stopPrice:m? trailingDelta:i64? trailingTime:time? "
    "icebergQty:m? strategyId:i64? strategyType:i32? orderCapacity:one workingFloor:one "
    "selfTradePreventionMode:selfTradePreventionMode preventedQuantity:m usedSor:bool "
    "origQuoteOrderQty:m pegPriceType:u8? pegOffsetType:u8? pegOffsetValue:u8? peggedPrice:m? "
    "> symbol:s8 origClientOrderId:s8 clientOrderId:s8",
    "cancelAll": "306 [. > .:cancelOrder ]",
    "cancelReplace": "307 cancelResult:cancelReplaceStatus newOrderResult:cancelReplaceStatus "
    "> cancelResponse:cancelOrder newOrderResponse:newOrder",
    "orders": f"308 [. {_ORDER}{_NAMES} ]",
    "account": "400 exponent:exp maker:m taker:m buyer:m seller:m canTrade:bool canWithdraw:bool "
    "canDeposit:bool brokered:bool requireSelfTradePrevention:bool preventSor:bool updateTime:time "
    f"accountType:zero tradeGroupId:i64? uid:i64 {_BALANCES} [permissions > .:s8 ] "
    "[reduceOnlyAssets > asset:s8 ]",
    "myTrades": "401 [. price:exp qty:exp commission:exp id:i64 orderId:i64 orderListId:i64? "
    "price:m qty:m quoteQty:m commission:m time:time isBuyer:bool isMaker:bool isBestMatch:bool "
    "> symbol:s8 commissionAsset:s8 ]",
    "subscribed": "503 subscriptionId:u16?",
    "executionReport": "603 E:time T:time price:exp qty:exp commission:exp O:time? W:time? i:i64 "
    "g:i64? q:m p:m Q:m F:m P:m o:orderType S:orderSide f:timeInForce x:executionType "
    "X:orderStatus t:i64? I:i64 z:m Z:m l:m L:m Y:m n:m w:bool m:bool M:bool match:one "
    "V:selfTradePreventionMode capacity:one floor:one sor:bool allocId:i64? d:u64? D:time? "
    "u:i64? v:m B:m? u2:i64? A2:m? B2:m? C2:m? J:i32? j:i64? U:i64? subscriptionId:u16? "
    "pegPriceType:u8? pegOffsetType:u8? pegOffsetValue:u8? peggedPrice:m? eR:expiryReason? "
    "> s:s8 c:s8 C:s8 N:s8 reject:s8 counter:s8",
    "outboundAccountPosition": "607 E:time u:time subscriptionId:u16? [B exponent:exp f:m l:m "
    "> a:s8 ]",
}

ENUMS = {
    "cancelReplaceStatus": {"SUCCESS": 0, "FAILURE": 1, "NOT_ATTEMPTED": 2},
    "executionType": {
        "NEW": 0,
        "CANCELED": 1,
        "REPLACED": 2,
        "REJECTED": 3,
        "TRADE": 4,
        "EXPIRED": 5,
    },
    "expiryReason": {
        "UNFILLED_IOC_QUANTITY_EXPIRED": 5,
        "UNFILLED_FOK_ORDER_EXPIRED": 6,
        "INSUFFICIENT_LIQUIDITY": 7,
    },
    "orderSide": {"BUY": 0, "SELL": 1},
    "orderStatus": {
        "NEW": 0,
        "PARTIALLY_FILLED": 1,
        "FILLED": 2,
        "CANCELED": 3,
        "REJECTED": 5,
        "EXPIRED": 6,
        "EXPIRED_IN_MATCH": 9,
    },
    "orderType": {
        "MARKET": 0,
        "LIMIT": 1,
        "STOP_LOSS": 2,
        "STOP_LOSS_LIMIT": 3,
        "TAKE_PROFIT": 4,
        "TAKE_PROFIT_LIMIT": 5,
        "LIMIT_MAKER": 6,
    },
    "rateLimitInterval": {"SECOND": 0, "MINUTE": 1, "HOUR": 2, "DAY": 3},
    "rateLimitType": {"RAW_REQUESTS": 0, "CONNECTIONS": 1, "REQUEST_WEIGHT": 2, "ORDERS": 3},
    "selfTradePreventionMode": {
        "NONE": 1,
        "EXPIRE_TAKER": 2,
        "EXPIRE_MAKER": 3,
        "EXPIRE_BOTH": 4,
    },
    "symbolStatus": {"TRADING": 0, "HALT": 2, "BREAK": 3},
    "timeInForce": {"GTC": 0, "IOC": 1, "FOK": 2},
}
"""The number of each word, in one byte."""

SETS = {
    "orderTypes": ("<H", ENUMS["orderType"]),
    "modes": ("<B", {"NONE": 0, "EXPIRE_TAKER": 1, "EXPIRE_MAKER": 2, "EXPIRE_BOTH": 3}),
}
"""Bits of sets: how they are packed, and the place of each word."""

"""What becomes of an order, as one pipeline: the run's id is the order's, so that an order is placed once."""

from __future__ import annotations

from returns.result import Failure, Result, Success

from examples.orders.errors import InvalidOrderError, OrderError, PaymentDeclinedError, StockError, UnknownArticleError
from examples.orders.ports import PAYMENTS, STOCK
from examples.orders.words import Bill, Confirmation, Order, Receipt, Reservation
from stageflow import Pipeline, StageInputs, StageKind, StageOutput, TimeoutInterceptor, lift, ok, stage

BANK_SECONDS = 20.0


@lift(kind=StageKind.GUARD)
def check(order: Order) -> Result[Order, InvalidOrderError]:
    """The order, where it can be done."""
    if not order.lines:
        return Failure(InvalidOrderError("An order needs a line: say what and how many."))
    for line in order.lines:
        if line.quantity < 1:
            return Failure(InvalidOrderError(f'{line.quantity} of "{line.article}" cannot be sent: say 1 or more.'))
    return Success(order)


@stage(requires=(STOCK,), kind=StageKind.WORK)
async def reserve(inputs: StageInputs[Order]) -> Result[StageOutput[Reservation], StockError]:
    """Keeps the articles; asked again for the same order, it is the same reservation."""
    kept = await inputs.ports[STOCK].reserve(inputs.context.run_id, inputs.value.lines)
    return kept.map(StageOutput.ok)


@stage(requires=(STOCK,), kind=StageKind.ENRICH)
async def price(inputs: StageInputs[Order]) -> Result[StageOutput[int], UnknownArticleError]:
    """What the order costs, in cents."""
    return (await inputs.ports[STOCK].price(inputs.value.lines)).map(StageOutput.ok)


@stage(requires=(PAYMENTS,), kind=StageKind.WORK, effects="once")
async def charge(inputs: StageInputs[Bill]) -> Result[StageOutput[Receipt], PaymentDeclinedError]:
    """Charges the customer.

    The key is the order's and not the attempt's (`idempotency_key`): after a timeout nobody knows whether the bank has
    charged, and the next attempt must be the same charge.
    """
    order_id = inputs.context.run_id
    charged = await inputs.ports[PAYMENTS].charge(order_id, inputs.value.cents, key=f"order-{order_id}")
    return charged.map(StageOutput.ok)


@stage(requires=(STOCK,), reads=(check, reserve), kind=StageKind.WORK)
async def confirm(inputs: StageInputs[Receipt]) -> Result[StageOutput[Confirmation], OrderError]:
    """Sends the articles, and says so."""
    order_id, receipt = inputs.context.run_id, inputs.value
    await inputs.ports[STOCK].ship(order_id)
    customer, kept = inputs[check].customer, inputs[reserve].number
    return ok(Confirmation(order_id, customer, kept, receipt.number, receipt.cents))


place_order: Pipeline[Order, Confirmation, OrderError] = (
    check | (reserve & price).into(Bill) | charge.using(TimeoutInterceptor(BANK_SECONDS)) | confirm
).named("place_order")
